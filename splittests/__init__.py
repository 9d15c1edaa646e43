"""Split tests whose goal is revenue: who is shown what, and what each variant earned.

The highest app: it may import revenue, tracking and sites. `assignment` and `inference` are pure.
"""
