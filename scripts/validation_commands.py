"""The calls of a run as commands to read and to run by hand: one for a shell with curl, one for PowerShell.

Every part is taken out of the body that the client would send, so that the commands say neither more nor less. Paths
are relative to the data root, whose ``results`` folder the scripts lie in; address and token come from the environment
when they are run, the token never on a command line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from solidgreen import jsonio, request
from solidgreen.cases import Case
from solidgreen.client import Target
from solidgreen.request import Request, Template

STEM = "validation_commands"
EXAMPLE = "http://localhost:8000/api/validate/"
#: What PowerShell takes for a single quote, straight or not; each is doubled inside one.
_QUOTES = re.compile("['‘’‚‛]")


@dataclass(frozen=True)
class Part:
    """One part of a multipart body; ``path`` is that of the document below the data root, None for a plain field."""

    disposition: str
    name: str
    filename: str
    media_type: str
    value: str
    path: str | None


def parts(case: Case, template: Template, data_root: Path) -> list[Part]:
    """Return the parts of the request that the client builds for a case.

    :raises Refused: a document is not the one that was qualified
    """
    built = request.build(case, template, data_root)
    paths = {document.sha256: document.path for document in case.documents}
    return [_part(headers, value, paths) for headers, value in _split(built)]


def _split(built: Request) -> Iterable[tuple[dict[str, str], bytes]]:
    """Yield headers, by lower-case name, and content of each part of a body."""
    boundary = built.content_type.partition("boundary=")[2].strip('"').encode()
    for block in built.body.split(b"--" + boundary)[1:-1]:
        head, _, content = block.partition(b"\r\n\r\n")
        pairs = (line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        yield {name.lower(): value for name, value in pairs}, content[: -len(b"\r\n")]


def _part(headers: Mapping[str, str], content: bytes, paths: Mapping[str, str]) -> Part:
    disposition = headers["content-disposition"]
    named = dict(re.findall(r'(name|filename)="([^"]*)"', disposition))
    is_file = "filename" in named
    return Part(
        disposition=disposition,
        name=named["name"],
        filename=named.get("filename", ""),
        media_type=headers.get("content-type", ""),
        value="" if is_file else content.decode(),
        path=paths[jsonio.sha256_bytes(content)] if is_file else None,
    )


def write(folder: Path, cases: Iterable[tuple[str, list[Part]]], *, target: Target, interval: float) -> list[Path]:
    """Write both scripts into *folder* and return their paths."""
    known = list(cases)
    shell, power = folder / f"{STEM}.sh", folder / f"{STEM}.ps1"
    jsonio.write_bytes(shell, sh(known, target=target, interval=interval).encode(), mode=0o755)
    # With its mark: without one Windows PowerShell takes the file for one in the code page of the machine.
    jsonio.write_bytes(power, ps1(known, target=target, interval=interval).encode("utf-8-sig"))
    return [shell, power]


# --- a shell with curl ---------------------------------------------------------------------------------------------

_SH = """\
#!/bin/sh
# {total} as run_batch_day3.py would send them, one curl call each, one after the other.
# Run it: DAY3_API_URL={example} sh {stem}.sh
# DAY3_API_TOKEN is sent as bearer token when it is set. Needs curl 7.55 or newer.
set -u
if [ -z "${{DAY3_API_URL:-}}" ]; then
    echo 'DAY3_API_URL: found nothing, need the validation endpoint. Next: export DAY3_API_URL={example}' >&2
    exit 13
fi
CDPATH='' cd -- "$(dirname -- "$0")/.." || exit 13
lost=0

# By standard input, so that the token stands in no list of processes.
authorization() {{
    [ -z "${{DAY3_API_TOKEN:-}}" ] || printf 'Authorization: Bearer %s\\n' "$DAY3_API_TOKEN"
}}

send() {{
    case_id=$1
    shift
    authorization | curl --disable --globoff --noproxy '*' --silent --show-error \\
        --connect-timeout {connect:g} --max-time {total_s:g} --user-agent solidgreen \\
        --header @- --header 'Accept: application/json' --header 'Expect:' \\
        --write-out "\\n$case_id HTTP %{{http_code}}\\n" "$@" --url "$DAY3_API_URL" || lost=$((lost + 1))
    sleep {interval:g}
}}

{calls}
[ "$lost" -eq 0 ] || {{ echo "$lost of {count} calls got no answer" >&2; exit 12; }}
"""


def sh(cases: list[tuple[str, list[Part]]], *, target: Target, interval: float) -> str:
    """Return the script for a POSIX shell."""
    calls = [" \\\n    ".join([f"send {shlex.quote(case_id)}", *map(_curl, found)]) + "\n" for case_id, found in cases]
    return _SH.format(
        total=_total(cases),
        stem=STEM,
        example=EXAMPLE,
        connect=target.connect_timeout_s,
        total_s=target.total_timeout_s,
        interval=interval,
        calls="\n".join(calls),
        count=len(cases),
    )


def _curl(part: Part) -> str:
    """Return the option of curl that sends a part."""
    if part.path is None:
        return f"--form-string {shlex.quote(part.name + '=' + part.value)}"
    # Between quotes curl takes a comma or a semicolon of a path for what it is.
    path, name = (text.replace("\\", "\\\\").replace('"', '\\"') for text in (part.path, part.filename))
    file = f'{part.name}=@"{path}";filename="{name}";type={part.media_type}'
    return f"--form {shlex.quote(file)}"


# --- PowerShell ----------------------------------------------------------------------------------------------------

_PS1 = """\
# {total} as run_batch_day3.py would send them, one call each, one after the other.
# Run it: $env:DAY3_API_URL = '{example}'; .\\{stem}.ps1
# DAY3_API_TOKEN is sent as bearer token when it is set. For Windows PowerShell 5.1 and PowerShell 7.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
if (-not $env:DAY3_API_URL) {{
    [Console]::Error.WriteLine('DAY3_API_URL: found nothing, need the validation endpoint. Next: set it to {example}')
    exit 13
}}
Add-Type -AssemblyName System.Net.Http
$protocols = [Net.ServicePointManager]::SecurityProtocol
[Net.ServicePointManager]::SecurityProtocol = $protocols -bor [Net.SecurityProtocolType]::Tls12
$root = Split-Path -Parent $PSScriptRoot
$lost = 0
$handler = New-Object System.Net.Http.HttpClientHandler
$handler.AllowAutoRedirect = $false
$handler.UseProxy = $false
$client = New-Object System.Net.Http.HttpClient -ArgumentList $handler
$client.Timeout = [TimeSpan]::FromSeconds({total_s:g})
$client.DefaultRequestHeaders.ExpectContinue = $false
[void] $client.DefaultRequestHeaders.TryAddWithoutValidation('Accept', 'application/json')
[void] $client.DefaultRequestHeaders.TryAddWithoutValidation('User-Agent', 'solidgreen')
if ($env:DAY3_API_TOKEN) {{
    [void] $client.DefaultRequestHeaders.TryAddWithoutValidation('Authorization', "Bearer $env:DAY3_API_TOKEN")
}}

function Send-Case([string] $CaseId, [object[]] $Parts) {{
    $body = New-Object System.Net.Http.MultipartFormDataContent
    foreach ($part in $Parts) {{
        if ($part.ContainsKey('File')) {{
            $bytes = [IO.File]::ReadAllBytes([IO.Path]::Combine($root, $part.File))
        }} else {{
            $bytes = [Text.Encoding]::UTF8.GetBytes($part.Value)
        }}
        $content = New-Object System.Net.Http.ByteArrayContent -ArgumentList (, $bytes)
        [void] $content.Headers.TryAddWithoutValidation('Content-Disposition', $part.Disposition)
        if ($part.ContainsKey('Type')) {{
            [void] $content.Headers.TryAddWithoutValidation('Content-Type', $part.Type)
        }}
        $body.Add($content)
    }}
    try {{
        $answer = $client.PostAsync($env:DAY3_API_URL, $body).GetAwaiter().GetResult()
        $answer.Content.ReadAsStringAsync().GetAwaiter().GetResult()
        "$CaseId HTTP $([int] $answer.StatusCode)"
    }} catch {{
        $script:lost += 1
        "$CaseId without an answer: $($_.Exception.Message)"
    }}
    Start-Sleep -Milliseconds {interval_ms:.0f}
}}

{calls}
if ($lost) {{
    [Console]::Error.WriteLine("$lost of {count} calls got no answer")
    exit 12
}}
"""


def ps1(cases: list[tuple[str, list[Part]]], *, target: Target, interval: float) -> str:
    """Return the script for PowerShell."""
    calls = [
        "\n".join([f"Send-Case {quoted(case_id)} @(", *(f"    {_hash(part)}" for part in found), ")\n"])
        for case_id, found in cases
    ]
    return _PS1.format(
        total=_total(cases),
        stem=STEM,
        example=EXAMPLE,
        total_s=target.total_timeout_s,
        interval_ms=interval * 1000,
        calls="\n".join(calls),
        count=len(cases),
    )


def _hash(part: Part) -> str:
    """Return the hash table that :func:`ps1` has for a part."""
    if part.path is None:
        return f"@{{ Disposition = {quoted(part.disposition)}; Value = {quoted(part.value)} }}"
    return (
        f"@{{ Disposition = {quoted(part.disposition)}; Type = {quoted(part.media_type)}; File = {quoted(part.path)} }}"
    )


def quoted(text: str) -> str:
    """Return a text as PowerShell has it word for word."""
    return f"'{_QUOTES.sub(lambda found: found[0] * 2, text)}'"


def _total(cases: list[tuple[str, list[Part]]]) -> str:
    return f"{len(cases)} case{'' if len(cases) == 1 else 's'}"
