"""Functions of a posterior at new inputs: joint moments and their pullback, moments at single points, slopes."""
