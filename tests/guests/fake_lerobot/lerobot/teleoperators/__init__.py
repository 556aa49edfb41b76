import time


class TeleoperatorConfig:
    def __init__(self, port="", hangs_after=None, **more):
        self.port, self.hangs_after, self.more = port, hangs_after, more

    @staticmethod
    def get_known_choices():
        return {"toy_leader": TeleoperatorConfig}


class Toy:
    """Two joints of an arm that somebody turns: a degree every read, from 0 to 20."""

    name = "toy_leader"
    action_features = {"x.pos": float, "y.pos": float}

    def __init__(self, config):
        self.config, self.reads, self.is_calibrated = config, 0, config.port != "uncalibrated"

    def connect(self, calibrate=True):
        assert calibrate is False, "nobody sits at a terminal"

    def get_action(self):
        self.reads += 1
        if self.config.hangs_after is not None and self.reads > self.config.hangs_after:
            time.sleep(3600)
        return {"x.pos": min(0.001 * self.reads, 0.2), "y.pos": -0.05}

    def disconnect(self):
        print("given back")


def make_teleoperator_from_config(config):
    return Toy(config)
