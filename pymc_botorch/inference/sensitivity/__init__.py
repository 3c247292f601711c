"""What the data do to the answer: derivatives of estimates, predictions and expectations in the data."""
