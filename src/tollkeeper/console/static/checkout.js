// The processor's card form, put into our page. Its script comes from js.stripe.com, which the
// policy of this page alone lets in.
"use strict";

async function mountCheckout(place) {
  try {
    const stripe = window.Stripe(place.dataset.key);
    const fetchClientSecret = async () => place.dataset.secret;
    const checkout = await stripe.createEmbeddedCheckoutPage({ fetchClientSecret });
    place.replaceChildren();
    checkout.mount(place);
  } catch {
    const said = document.createElement("p");
    said.className = "fault";
    said.setAttribute("role", "alert");
    said.textContent = place.dataset.failed;
    place.replaceChildren(said);
  }
}

const place = document.getElementById("checkout");
if (place !== null) mountCheckout(place);
