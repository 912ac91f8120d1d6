"""Sign-in or not: guides and shipped files let in nobody whom the operator has not named."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws_client import KEYS, REGION, aws_client
from infrastructure.guides import blocks
from infrastructure.tools import INFRASTRUCTURE, FakeAws
from printed_guides import README, SETUP, SETUP_KO

Type = Callable[..., "subprocess.CompletedProcess[str]"]
WORLD = re.compile(r"0\.0\.0\.0/0|::/0")
WARNING = {
    SETUP: r"> \[!WARNING\]\n> \*\*Leave `AUTH=on`",
    SETUP_KO: r"> \[!WARNING\]\n> \*\*[^*\n]*`AUTH=on`을 그대로 두세요\.\*\*",
}


@pytest.fixture
def type_in(aws_url: str, warm_aws: str, tmp_path: Path) -> Type:
    """Type printed commands into a shell as an administrator of an account that moto plays."""

    def type_in(text: str, **replaced: str) -> "subprocess.CompletedProcess[str]":
        for name, value in replaced.items():
            text, count = re.subn(rf"(?m)^{name}=\S+", f"{name}='{value}'", text)
            assert count == 1, name
        env = {
            "PATH": f"{warm_aws}:/usr/bin:/bin",
            "HOME": str(tmp_path),
            "AWS_ENDPOINT_URL": aws_url,
            "AWS_DEFAULT_REGION": REGION,
            **KEYS,
        }
        return subprocess.run(
            ["bash", "-c", text], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return type_in


def block(part: str) -> str:
    """Return the one block of the guide that has a part."""
    (found,) = [b.text for b in blocks(SETUP) if part in b.text]
    return found


def group_of(ec2: Any, name: str) -> dict[str, Any]:
    filters = [{"Name": "group-name", "Values": [name]}]
    (found,) = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return dict(found)


def openings(ec2: Any, name: str) -> set[tuple[int, str]]:
    """Return the ports of a security group, each with a source that may reach it."""
    found = set()
    for rule in group_of(ec2, name)["IpPermissions"]:
        assert rule["FromPort"] == rule["ToPort"]
        assert not rule["UserIdGroupPairs"] + rule["Ipv6Ranges"] + rule["PrefixListIds"]
        found |= {(rule["FromPort"], source["CidrIp"]) for source in rule["IpRanges"]}
    return found


GROUPS = ["department-calendar-load-balancer", "department-calendar-ec2"]


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_made_without_choosing_a_source_lets_nobody_in(
    type_in: Type, aws_url: str, name: str
) -> None:
    ec2 = aws_client("ec2", aws_url)
    done = type_in(block(f"--group-name {name}"))
    assert "invalid CIDR" in done.stderr
    assert openings(ec2, name) == set()


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_lets_in_the_sources_that_were_chosen_and_no_other(
    type_in: Type, aws_url: str, name: str
) -> None:
    ec2 = aws_client("ec2", aws_url)
    chosen = {"VPC": ec2.describe_vpcs()["Vpcs"][0]["VpcId"], "SOURCE": "10.20.0.0/16"}
    wanted = {(80, "10.20.0.0/16"), (443, "10.20.0.0/16")}
    if name == "department-calendar-ec2":
        chosen["ADMIN"] = "10.20.3.4/32"
        wanted.add((22, "10.20.3.4/32"))
    done = type_in(block(f"--group-name {name}"), **chosen)
    assert (done.returncode, done.stderr) == (0, "")
    assert openings(ec2, name) == wanted
    assert group_of(ec2, name)["VpcId"] == chosen["VPC"]


def test_the_environment_is_made_with_the_network_that_was_chosen(tmp_path: Path) -> None:
    aws = FakeAws(tmp_path / "fake", {})
    chosen = "VPC=vpc-1 SUBNETS=subnet-1,subnet-2 GROUP=sg-1 VERSION=1\n"
    env = {"PATH": f"{aws.folder}:/usr/bin:/bin"}
    printed = block("create-environment ").replace("choose-the-address", "https://calendar.example.com")
    subprocess.run(["bash", "-ec", chosen + printed], env=env, check=True)
    arguments = aws.arguments("create-environment")
    given = arguments[arguments.index("--option-settings") + 1 :]
    # The quotes are for the AWS CLI: a comma would end the value.
    form = re.compile("Namespace=([a-z0-9:]+),OptionName=([A-Za-z_]+),Value=(?:'([^']+)'|([^',]+))")
    options = {}
    for option in given:
        match = form.fullmatch(option)
        assert match, option
        options[match[1], match[2]] = match[3] or match[4]
    assert re.fullmatch(
        "[0-9a-f]{64}", options.pop(("aws:elasticbeanstalk:application:environment", "SECRET_KEY"))
    )
    assert options.pop(("aws:elasticbeanstalk:application:environment", "PUBLIC_URL")) == (
        "https://calendar.example.com"
    )
    # https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/command-options-general.html
    assert options == {
        ("aws:ec2:vpc", "VPCId"): "vpc-1",
        ("aws:ec2:vpc", "Subnets"): "subnet-1,subnet-2",
        ("aws:ec2:vpc", "ELBSubnets"): "subnet-1,subnet-2",
        ("aws:ec2:vpc", "AssociatePublicIpAddress"): "true",
        ("aws:elbv2:loadbalancer", "SecurityGroups"): "sg-1",
        ("aws:elbv2:loadbalancer", "ManagedSecurityGroup"): "sg-1",
    }


def test_the_bundle_asks_for_an_internal_load_balancer() -> None:
    folder = INFRASTRUCTURE / "elastic-beanstalk" / ".ebextensions"
    options = yaml.safe_load((folder / "01-environment.config").read_text())["option_settings"]
    assert options["aws:ec2:vpc"]["ELBScheme"] == "internal"
    assert options["aws:elasticbeanstalk:environment"]["EnvironmentType"] == "LoadBalanced", (
        "a single instance has an address on the internet"
    )
    protocol, *ports, source = options["aws:autoscaling:launchconfiguration"]["SSHSourceRestriction"].split(
        ", "
    )
    assert (protocol, ports, source) == ("tcp", ["22", "22"], "127.0.0.1/32")


def test_nothing_that_is_shipped_names_the_whole_internet_as_a_source() -> None:
    for path in INFRASTRUCTURE.rglob("*"):
        if path.is_file():
            assert not WORLD.search(path.read_text()), path
    for guide in (SETUP, SETUP_KO, README):
        for printed in re.findall(r"^```\w*\n(.*?)^```$", guide.read_text(), re.MULTILINE | re.DOTALL):
            assert not WORLD.search(printed), guide


@pytest.mark.parametrize("guide", [SETUP, SETUP_KO], ids=lambda path: path.name)
@pytest.mark.parametrize("section", [0, 7, 9, 10])
def test_the_guide_warns_where_the_server_begins_to_listen(guide: Path, section: int) -> None:
    top, *numbered = re.split(r"(?m)^## \d+\. .*\n", guide.read_text())
    text = top if section == 0 else numbered[section - 1]
    warning = re.search(WARNING[guide], text)
    assert warning, "a boxed warning"
    before = text[: warning.start()]
    assert "create-environment" not in before
    assert "scp " not in before
    assert len(before.splitlines()) <= (10 if section else 14), "at the section's start"
