"""The pieces of scripts/train_tiny_olmoe.py: text, tokenizer, network, training and model card."""
