"""Draws of a gp's hyperposterior: methods, the choice between them, and how far their draws can be trusted."""
