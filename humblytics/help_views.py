from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from humblytics import manual


def help_index(request: HttpRequest) -> HttpResponse:
    return render(request, "help/index.html", {"groups": manual.GROUPS})


def help_topic(request: HttpRequest, slug: str) -> HttpResponse:
    if slug not in manual.TOPICS:
        raise Http404
    topic = manual.TOPICS[slug]
    return render(request, "help/topic.html", {"groups": manual.GROUPS, "topic": topic, "text": manual.page(slug)})
