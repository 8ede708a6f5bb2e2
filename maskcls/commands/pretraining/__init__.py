"""maskcls pretrain."""
