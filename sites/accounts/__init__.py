"""Who somebody is: logging in, second factors, confirming it again, sessions, and how often each may be tried.

The flows are django-allauth's; what they look like, what is kept of them and how they are limited is decided here.
"""
