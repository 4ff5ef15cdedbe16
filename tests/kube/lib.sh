# Shared by the cases of scripts/test-kube: sourced, never run. A case has a namespace of its own, $namespace.
# shellcheck shell=bash

# shellcheck source=scripts/kube/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/kube/lib.sh"

# With the directory: the namespace of a case with the same name in another one may still be on its way out.
namespace=$(basename "$(dirname "$0")")-$(basename "$0" _test | tr '_' '-')

# kubectl in the case's namespace.
k() { kubectl --namespace "$namespace" "$@"; }

fail() {
  warn "FAILED: $*"
  exit 1
}

expect_equal() { # expect_equal WHAT EXPECTED ACTUAL
  [ "$2" = "$3" ] || fail "$1: expected '$2', got '$3'"
  echo "$1: $3"
}

remove_namespace() { kubectl delete namespace "$namespace" --wait=false >/dev/null 2>&1 || true; }

make_namespace() {
  trap remove_namespace EXIT
  new_namespace "$namespace"
}

new_namespace() { # new_namespace NAME [LABEL=VALUE]
  kubectl delete namespace "$1" --ignore-not-found >/dev/null # waits while an earlier one is taken away
  kubectl create namespace "$1" >/dev/null
  [ -z "${2:-}" ] || kubectl label namespace "$1" "$2" >/dev/null
  # Pods are refused until the controller manager has made it, and its token.
  wait_for 60 "the default service account of $1" has_token "$1"
}
has_token() { [ -n "$(kubectl get serviceaccount default --namespace "$1" -o 'jsonpath={.secrets[0].name}')" ]; }

# pod NAME NODE LABELS COMMAND...: LABELS as app=web,tier=back. The scheduler puts it on the node.
pod() {
  local name=$1 node=$2 labels=$3 quoted
  shift 3
  quoted=$(printf '"%s", ' "$@")
  k apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Pod
metadata: {name: $name, labels: {${labels//=/: }}}
spec:
  nodeSelector: {kubernetes.io/hostname: $node}
  terminationGracePeriodSeconds: 1
  dnsPolicy: Default
  containers:
  - name: main
    image: localhost/tools:1
    imagePullPolicy: Never
    command: [${quoted%, }]
EOF
}

# A pod that answers at port 80 with its name, and logs its peers.
web_pod() { # web_pod NAME NODE LABELS
  # shellcheck disable=SC2016 # the pod's shell expands it
  pod "$1" "$2" "$3" sh -c 'echo $HOSTNAME >/tmp/index.html; exec httpd -f -v -p 80 -h /tmp'
}

client_pod() { pod "$1" "$2" "$3" sleep 1000000; }

# A pod that watches whether ADDRESS can be reached at port 80; see tests/kube/probe.c.
probe_pod() { # probe_pod NAME NODE LABELS ADDRESS
  pod "$1" "$2" "$3" probe "$4" 80
}

wait_pods() {
  k wait --for=condition=Ready --timeout=60s pod --all >/dev/null && return
  k describe pods >&2
  fail 'pods do not become ready'
}

ip_of() { k get pod "$1" -o 'jsonpath={.status.podIP}'; }

# fetch POD ADDRESS[:PORT]. wget's own option -T crashes in Debian's static BusyBox.
fetch() { k exec "$1" -- timeout 5 wget -q -O - "http://$2/"; }

# fetch from outside of the nodes, as a client of the cluster's network.
fetch_outside() { in_control curl --silent --show-error --max-time 5 "http://$1/"; }

# expect_no_loss POD: of a pod that runs `stream`, which prints a line each second. Says when what was lost, and what of
# it the agents dropped.
expect_no_loss() {
  local lost
  lost=$(k logs "$1" | awk '$3 != before { printf "%s%d after %d s", (before ? ", " : ""), $3, NR; before = $3 }' before=0)
  if [ -z "$lost" ]; then
    echo "lost datagrams of $1: 0"
    return
  fi
  for node in "${KUBE_NODES[@]}"; do
    agent "$node" observe --type flow --verdict DROPPED --from "$namespace/$1" --last 5 -o json >&2 || true
  done
  fail "lost datagrams of $1: $lost"
}

# Milliseconds of CLOCK_BOOTTIME, as the probe prints them.
now_ms() {
  local uptime _
  read -r uptime _ </proc/uptime
  echo "${uptime/./}0"
}

probe_says() { [ "$(k logs "$1" | awk 'END { print $2 }')" = "$2" ]; }

wait_probe() { # wait_probe POD open|closed
  wait_for 30 "probe $1 says $2" probe_says "$1" "$2" || fail "probe $1: $(k logs "$1" | tail -n 5 | tr '\n' ';')"
}

# measure_change POD open|closed WHAT COMMAND...: runs the command, waits until the probe sees its effect, and prints
# how long that took. The probe must see the state for a second after that, and takes one to say closed.
measure_change() {
  local probe=$1 state=$2 what=$3 before after
  shift 3
  before=$(now_ms)
  "$@" >/dev/null
  after=$(now_ms)
  wait_probe "$probe" "$state"
  if [ "$state" = open ]; then sleep 2; else sleep 1; fi
  probe_says "$probe" "$state" || fail "$what: the probe changed back: $(k logs "$probe" | tail -n 5 | tr '\n' ';')"
  k logs "$probe" | awk -v before="$before" -v after="$after" -v state="$state" -v what="$what" '
    $1 >= before && $2 == state { time = $1 }
    END { printf "%s: %s after %d ms, %d ms after kubectl returned\n", what, state, time - before, time - after }'
}

# agent NODE VERB...: the client, with the node's agent.
agent() {
  local node=$1
  shift
  "$SLUICE_ROOT/build/bin/sluice" --server "unix://$KUBE_STATE/$node/sluice.sock" "$@"
}

# The short form has fewer pods and less time: scaled FULL SHORT.
scaled() {
  if [ "${SLUICE_KUBE_SHORT:-0}" = 0 ]; then echo "$1"; else echo "$2"; fi
}

# in_container NODE POD COMMAND...: as kubectl exec, through the node's container runtime, without the API server.
in_container() {
  local node=$1 name=$2 running container ctr
  shift 2
  ctr=(in_node "$node" ctr --address /run/containerd/containerd.sock --namespace k8s.io)
  running=$("${ctr[@]}" tasks list) || return 1
  container=$("${ctr[@]}" containers list -q \
    "labels.\"io.kubernetes.pod.namespace\"==$namespace,labels.\"io.kubernetes.pod.name\"==$name,labels.\"io.kubernetes.container.name\"==main" |
    while read -r one; do
      if grep -q "^$one .*RUNNING" <<<"$running"; then echo "$one"; fi
    done | tail -n 1)
  [ -n "$container" ] || return 1
  "${ctr[@]}" tasks exec --exec-id "case-$RANDOM-$RANDOM" "$container" "$@"
}

# reaches POD PROTOCOL PORT +ADDRESS|-ADDRESS...: true when each + answers and each - does not; see tests/kube/reach.c.
reaches() {
  local pod=$1
  shift
  answers_are "$(k exec "$pod" -- reach "$@")" "${@:3}"
}

# The same without the API server: reaches_on NODE POD PROTOCOL PORT +ADDRESS|-ADDRESS...
reaches_on() {
  local node=$1 pod=$2
  shift 2
  local answers
  answers=$(in_container "$node" "$pod" reach "$@") || warn "reach did not run in $pod on $node: $?"
  answers_are "$answers" "${@:3}"
}

answers_are() { # answers_are ANSWERS +ADDRESS|-ADDRESS...
  local answers=$1 expected
  shift
  expected=$(printf '%s\n' "$@" | sed 's/^+\(.*\)/\1 open/; s/^-\(.*\)/\1 closed/')
  [ "$answers" = "$expected" ] || {
    warn "reach: expected '${expected//$'\n'/, }', got '${answers//$'\n'/, }'"
    return 1
  }
}
