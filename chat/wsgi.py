"""``gunicorn -c python:common.web.gunicorn_conf chat.wsgi:app``"""

from chat.factory import create_app
from chat.settings import ChatSettings
from common.settings import load_or_exit

app = create_app(load_or_exit(ChatSettings))
