-- What an endpoint's answer said, as far as it is kept: who looks for why their receiver refuses
-- finds it here and not in their own logs.

ALTER TABLE webhook_delivery ADD COLUMN response_body text;

GRANT UPDATE (response_body) ON webhook_delivery TO tollkeeper_app;
