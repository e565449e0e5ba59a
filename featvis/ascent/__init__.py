"""Making pictures: objectives, parametrizations, and the steps towards more of an objective."""
