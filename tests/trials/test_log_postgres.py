"""The log on PostgreSQL alone: passwords, drivers, servers that are not there, databases that others use too."""

import sys
import traceback

import pytest
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from roboscale.core import BadData, InfrastructureError, RoboscaleError
from roboscale.trials.log import LogAddress, engines, open_log
from tests.trials.log_samples import trial
from tests.trials.postgres import USER, Cluster, missing, postgres  # noqa: F401


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:{}@127.0.0.1:1/db",
        "postgres://me:{}@127.0.0.1:1/db?application_name=x",
        "postgresql+psycopg://me:{}@127.0.0.1:1/db",
        "postgresql://me@127.0.0.1:1/db?password={}",
        "postgresql://me:{}@127.0.0.1:port/db",
        "postgresql://me:{}/x@127.0.0.1:1/db",
        "postgresql://me:{}@x@127.0.0.1:1/db",
        "postgresql://me:{}?x#y@127.0.0.1:1/db",
        "postgresql://me:{}@[::1/db",
        "postgresql://me:{}@127.0.0.1:1/db?connect_timeout=soon",
    ],
)
@pytest.mark.parametrize("password", ["hunter2", "hunter2:%40", "hunter2%zz"])
def test_a_password_is_in_no_message(url: str, password: str):
    with pytest.raises(RoboscaleError) as caught:
        open_log(url.format(password))
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in LogAddress.parse(url.format(password)).shown
    assert "me" in str(caught.value)


def test_a_wrong_password_is_one_line_that_names_the_user_and_not_the_password(postgres: Cluster):  # noqa: F811
    url = postgres.empty_database().replace(postgres.password, "hunter2")
    with pytest.raises(InfrastructureError, match=f'password authentication failed for user "{USER}"') as caught:
        open_log(url)
    assert "hunter2" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_that_is_not_there_is_one_line(postgres: Cluster):  # noqa: F811
    with pytest.raises(InfrastructureError, match="postgresql://me@127.0.0.1:1/db: .*refused") as caught:
        open_log("postgresql://me@127.0.0.1:1/db")
    assert "\n" not in str(caught.value)
    with pytest.raises(InfrastructureError, match='database "nowhere" does not exist'):
        open_log(postgres.url("nowhere"))


def test_a_driver_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RoboscaleError, match=r"needs the driver psycopg: pip install 'roboscale\[postgres\]'"):
        open_log("postgresql://me@127.0.0.1/db")


def test_a_database_is_shared_with_other_programs(postgres: Cluster):  # noqa: F811
    url = postgres.new_database()
    name = url.rpartition("/")[2]
    postgres.execute("create table public.trials (mine int)", name)
    postgres.execute("create table public.header (mine int)", name)
    with pytest.raises(BadData, match="tables: expected a log of trials .*, found none"):
        open_log(url, read_only=True)
    with open_log(url) as log:
        log.save(trial())
    assert postgres.execute("select count(*) from public.trials", name) == [(0,)]
    assert postgres.execute("select count(*) from roboscale.trials", name) == [(1,)]
    assert ":" + postgres.password not in log.where and log.where.startswith(f"postgresql://{USER}:***@127.0.0.1")


def test_a_user_who_may_only_read_can_read(postgres: Cluster):  # noqa: F811
    url = postgres.empty_database()
    with open_log(url) as log:
        log.save(trial())
    postgres.execute("drop role if exists reader")
    postgres.execute("create role reader login password 'reader'")
    postgres.execute("grant usage on schema roboscale to reader", "shared")
    postgres.execute("grant select on all tables in schema roboscale to reader", "shared")
    reader = url.replace(f"{USER}:{postgres.password}", "reader:reader")
    try:
        with open_log(reader, read_only=True) as log:
            assert log.count() == 1
        with open_log(reader) as log, pytest.raises(RoboscaleError, match="permission denied for table"):
            log.save(trial(1))
    finally:
        postgres.execute("drop owned by reader", "shared")
        postgres.execute("drop role reader")


def test_a_connection_that_the_server_ends_is_made_again(postgres: Cluster):  # noqa: F811
    with open_log(postgres.empty_database()) as log:
        log.save(trial(0))
        postgres.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'roboscale'", "shared"
        )
        log.save(trial(1))
        assert log.count() == 2


def test_a_connection_is_asked_whether_it_lives_only_after_a_rest(postgres: Cluster, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    with open_log(postgres.empty_database()) as log:
        log.count()
        pings: list[object] = []
        ping = PGDialect_psycopg.do_ping

        def counted(dialect: PGDialect_psycopg, connection: object) -> bool:
            pings.append(connection)
            return ping(dialect, connection)

        monkeypatch.setattr(PGDialect_psycopg, "do_ping", counted)
        log.count()
        assert not pings
        monkeypatch.setattr(engines, "_RESTED_S", 0.0)
        log.count()
        assert len(pings) == 1


def test_two_words_for_the_same_key_meet_on_the_server(postgres: Cluster):  # noqa: F811
    """The second saver waits for the first one's transaction, and then sees its facts."""
    with open_log(postgres.empty_database()) as first, open_log(postgres.url("shared")) as second:
        first.save(trial())
        with pytest.raises(BadData, match="expected steps 3, found steps 9"):
            second.save(trial(steps=9))


def test_without_a_server_a_test_is_skipped_and_on_continuous_integration_it_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="not installed"):
        missing("not installed")
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="not installed"):
        missing("not installed")
