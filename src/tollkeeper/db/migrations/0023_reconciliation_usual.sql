-- Whether a comparison looked at all that was to be looked at. One whose window somebody chose says
-- nothing of the days outside it: neither the next night nor the alarm goes by it.

ALTER TABLE reconciliation ADD COLUMN usual boolean NOT NULL DEFAULT true;
