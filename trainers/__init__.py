"""Training of segmentation students under distillation; knows no Ray, no Optuna, no database."""
