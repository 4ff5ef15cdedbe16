# Shared by scripts/*; source it from bash with `set -euo pipefail`.
# shellcheck shell=bash

SLUICE_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SLUICE_BPFFS=/sys/fs/bpf
PATH=$PATH:/usr/sbin:/sbin

say() { printf '\n== %s\n' "$*"; }
warn() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
  warn "$@"
  exit 1
}

# debian_mirror ARCHIVE: the URI of debian or debian-security that this machine's own sources name.
debian_mirror() {
  local uri
  uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v '^ *#' |
    grep -oE "https?://[^ ]+/$1/?( |\$)" | head -n 1) || true
  echo "${uri:-http://deb.debian.org/$1}"
}

# Capabilities that the agent and the tests use: number in linux/capability.h, name, purpose.
sluice_capabilities='12 CAP_NET_ADMIN attach programs to interfaces
21 CAP_SYS_ADMIN mount, network namespaces
38 CAP_PERFMON load programs that read packet memory
39 CAP_BPF create maps and load programs'

mount_bpffs() {
  [ "$(stat -f -c %T "$SLUICE_BPFFS" 2>/dev/null)" = bpf_fs ] && return 0
  mount -t bpf bpf "$SLUICE_BPFFS" 2>/dev/null
}

# Prints one line for each missing right; nothing when BPF can be used. Mounts bpffs if needed.
bpf_missing() {
  local effective number name purpose probe error
  effective=$((16#$(sed -n 's/^CapEff:[[:space:]]*//p' /proc/self/status)))
  while read -r number name purpose; do
    # CAP_SYS_ADMIN includes the two newer ones.
    ((effective >> number & 1 || (number >= 38 && effective >> 21 & 1))) || echo "capability $name ($purpose)"
  done <<<"$sluice_capabilities"
  if ! mount_bpffs; then
    echo "mount: bpffs at $SLUICE_BPFFS (mount -t bpf bpf $SLUICE_BPFFS)"
    return 0
  fi
  command -v bpftool >/dev/null || {
    echo 'program: bpftool (scripts/install-deps)'
    return 0
  }
  probe=$SLUICE_BPFFS/sluice-probe-$$
  if error=$(bpftool map create "$probe" type array key 4 value 4 entries 1 name sl_probe 2>&1); then
    rm -f "$probe"
  else
    echo "system call: bpf(BPF_MAP_CREATE) with a pin in $SLUICE_BPFFS: ${error#Error: }" \
      "(kernel.unprivileged_bpf_disabled=$(cat /proc/sys/kernel/unprivileged_bpf_disabled 2>/dev/null || echo '?'))"
  fi
}

# Like bpf_missing, but loads every program of a built object. Prints the kernel's error.
bpf_load_missing() {
  local pin=$SLUICE_BPFFS/sluice-load-$$ error
  if ! error=$(bpftool prog loadall "$1" "$pin" 2>&1); then
    echo "feature: the kernel does not load ${1##*/}: $(tail -n 3 <<<"$error" | tr '\n' ' ')"
  fi
  rm -rf "$pin"
}

# True when BPF can be used. Otherwise prints what is missing, and exits with SLUICE_REQUIRE_BPF=1.
have_bpf() {
  local missing object
  missing=$(bpf_missing)
  if [ -z "$missing" ]; then
    for object in "$SLUICE_ROOT"/build/skel/*datapath*.bpf.o; do
      if [ -f "$object" ]; then missing+=$(bpf_load_missing "$object"); fi
    done
  fi
  [ -z "$missing" ] && return 0
  {
    echo "BPF cannot be used here. Missing:"
    while read -r line; do echo "  - $line"; done <<<"$missing"
  } >&2
  [ "${SLUICE_REQUIRE_BPF:-0}" = 1 ] && die 'SLUICE_REQUIRE_BPF=1: giving up'
  return 1
}
