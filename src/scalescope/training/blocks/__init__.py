"""What a network is made of, one idea a file: mixers let tokens see each other, feed-forwards do not."""
