#!/usr/bin/env bash
# Installs what `make run` and `make test` need, once: virtual environment, npm packages, and system packages where it may.
# Usage: local/prepare.sh run|test. Says what it does; a second time it only compares hashes.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose="${1:-run}"
mkdir -p .cache

say() { printf '\033[1m· %s\033[0m\n' "$*"; }
fail() { printf '\033[31m✗ %s\033[0m\n' "$*" >&2; exit 1; }

# System packages by Debian's names, installed only where this account may; otherwise the command is named.
system_packages() {
  local missing=() pair command package
  for pair in "$@"; do
    command="${pair%%=*}"; package="${pair#*=}"
    command -v "$command" >/dev/null 2>&1 || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  command -v apt-get >/dev/null 2>&1 || fail "please install: ${missing[*]} (no apt-get here), then run this again"
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || fail "please run: sudo apt-get install -y ${missing[*]} — then run this again"
    as_root=(sudo -n)
  fi
  say "installing system packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >.cache/apt.log 2>&1 \
    || { tail -n 20 .cache/apt.log >&2; fail "apt-get could not install ${missing[*]}"; }
}

# Runs a step only when the hash of its inputs is not the one it last finished with.
once() {
  local name="$1" inputs="$2"; shift 2
  local hash; hash="$(cat $inputs | sha256sum | cut -d' ' -f1)"
  [ "$(cat ".cache/$name.hash" 2>/dev/null)" = "$hash" ] && return 0
  "$@"
  echo "$hash" > ".cache/$name.hash"
}

find_python() {
  local candidate
  for candidate in python3.13 python3.12 python3.11 python3; do
    if command -v "$candidate" >/dev/null 2>&1 \
      && "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"; return
    fi
  done
  fail "Python 3.11 or newer with venv is needed (Debian: apt-get install python3-venv)"
}

python_packages() {
  say "installing Python packages into .venv"
  [ -x .venv/bin/python ] || "$(find_python)" -m venv .venv
  .venv/bin/python -m pip install -q "$(grep '^uv==' requirements.txt)" 2>.cache/pip.log || { cat .cache/pip.log >&2; fail "pip could not install uv"; }
  # uv is several times faster; pip knows every local index setting, so it is the second way.
  .venv/bin/uv pip install -q -p .venv/bin/python -r requirements.txt 2>.cache/uv.log \
    || .venv/bin/python -m pip install -q -r requirements.txt
}

npm_packages() { # directory
  say "installing npm packages of $1/"
  npm ci --prefix "$1" --no-audit --no-fund --loglevel=error
}

web_build() {
  say "building the page"
  npm run --silent build --prefix web
}

system_packages node=nodejs npm=npm
[ -x .venv/bin/python ] || rm -f .cache/python.hash
once python "requirements.txt functions/requirements.txt media/requirements.txt" python_packages
[ -d web/node_modules ] || rm -f .cache/npm-web.hash
once npm-web "web/package.json web/package-lock.json" npm_packages web
[ -f web/dist/index.html ] || rm -f .cache/web.hash
once web "web/package-lock.json $(git ls-files -co --exclude-standard web | grep -vE 'package' | tr '\n' ' ')" web_build

if [ "$purpose" = test ]; then
  system_packages chromium=chromium ffprobe=ffmpeg java=default-jre-headless
  for folder in tests infra; do
    [ -f "$folder/package.json" ] || continue
    [ -d "$folder/node_modules" ] || rm -f ".cache/npm-$folder.hash"
    once "npm-$folder" "$folder/package.json $folder/package-lock.json" npm_packages "$folder"
  done
fi
