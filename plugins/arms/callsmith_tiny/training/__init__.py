"""How the model was made: data, tokenizer, training, export, evaluation. Development only."""
