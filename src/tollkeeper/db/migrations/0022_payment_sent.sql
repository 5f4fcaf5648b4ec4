-- When somebody last set out to ask the processor for a payment's money. Until that is long ago, that
-- the processor knows nothing of it does not mean that it will not be charged.

ALTER TABLE payment ADD COLUMN sent_at timestamptz;
