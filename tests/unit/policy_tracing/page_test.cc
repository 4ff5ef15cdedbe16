// docs/tracing-policy.md is made here from the tables of policy/tracing and from people's files: SLUICE_UPDATE_DOCS=1
// writes it. The files are no part of this project: SLUICE_CORPORA is the directory that has them, below tetragon/.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "policy/tracing/limits.h"
#include "tests/unit/policy_tracing/compiled_text.h"

namespace sluice::policy::tracing {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = R"(# TracingPolicy files
Tetragon's users keep their runtime policy as `TracingPolicy` and `TracingPolicyNamespaced` (`cilium.io/v1alpha1`).
Sluice takes these files as they are and enforces them in the kernel. `sluice apply`, `get tracingpolicies`, `describe`,
`diff` and `delete`, and a `--resources` directory handle both kinds as they handle all others. `sluice validate -f FILE`
checks a file completely, without an agent: every error names file, line, field and value, and says what to do.

This page is made from `policy/tracing` and from the files below: change those, and run
`SLUICE_UPDATE_DOCS=1 SLUICE_CORPORA=DIR build/bin/unit_tracing --gtest_filter=TracingPage.*`.

## In force
```
sluice apply -f secret.yaml          # refused as a whole, with the reason, if one policy of it cannot be enforced
sluice get tracingpolicies           # state, hooks and how each is attached, memory of the kernel, matches, actions
sluice delete tracingpolicy secret
tetra tracingpolicy disable secret   # Tetragon's client works, too: also enable, set-mode, list (clients.md)
```
- **Refused before anything changes:** what this version does not enforce yet (the error names the field), and a hook
  that this kernel cannot attach (it names the hook and what the kernel lacks). What was in force stays.
- **In error:** a policy that was accepted before and cannot be put in force when the agent starts stops nothing else. It
  is in `sluice status` (exit code 4), in the log and in `sluice_hook_policies{state="error"}`, and is tried again with
  the next `apply`, `delete` or SIGHUP.
- **It stays:** the programs are loaded with the first policy, and pinned: they enforce while no agent runs. The next
  agent ends them once its own are in force, and `sluiced --uninstall` ends all.
- **Which processes:** `podSelector` selects Workloads of this node by their labels, those of its own namespace for a
  `TracingPolicyNamespaced`. A process belongs to the workload of its cgroup, or else of its network namespace.
  `hostSelector` selects the processes of no workload; without any selector a policy is for all, the node's own too.
- **A new workload** is covered in the step in which it is attached, before its start goes on (the CNI plugin's ADD). Its
  labels are those that the API server says; until it knows the pod, only policies without `podSelector` are for it.
- **A container:** `containerSelector` selects by `name` (in the pod) and `repo` (the image's, without tag and digest), as
  the container runtime says them (`--kube` and `--cri`; without a runtime such a policy is refused). A container is known
  from when its cgroup is there, some milliseconds before its first process runs: that is not waited for. Until then, and in
  the container that holds a pod's namespaces, a process is in the pod and in no container: `In` does not match, `NotIn`
  does. Tests: `KubernetesHookContainers.*` of `e2e_kube`, `HookSubjects.AContainerIsASubjectOfItsOwnInsideItsPod`.
- **A node:** `nodeSelector` selects by the labels of this node in the API server, and by those of `--node-label`. On
  other nodes the policy is in the state `other-nodes`, and nothing of it is loaded. A change of the labels is followed.
  While the labels are not known, a policy that asks for them is refused, or at a start in error; what an agent before left
  in force goes on until they are. Test: `KubernetesHookPolicies.ANodeSelector*`.
- **Objects of an API server** are followed with `--kube`, where the kinds are defined (`crds.tracingPolicies` of the
  [chart](../deploy/helm/sluice/README.md), or Tetragon's own definitions). An applied policy of the same kind and name is
  used instead of the server's, and so is one of the resources directory. One that is refused, or that a node's kernel
  cannot attach, has an Event ([kubernetes.md](kubernetes.md#what-the-agent-tells-the-cluster)). Tests:
  `KubernetesHookPolicies.*`.
- **Not known:** a pod in the node's network counts as the node, and so does a Workload that has `hostInterface` and no
  `cgroup`.
- **System calls can be raced.** A hook on one reads the caller's memory, which another thread may change afterwards, and
  which cannot be read while it is not in memory: then filters do not match, and negated ones do. The same is true of
  uprobes and static probes. A hook on the kernel's own function (`security_file_permission`, `security_file_open`, `security_socket_connect`) or on an LSM hook sees what
  is really done. Sigkill ends the process before it runs on; only Override keeps the call itself from being done.
- **Addresses of Services:** a hook on the call (`sys_connect`, `security_socket_connect`) sees the address that the program
  gave, also that of a Service. A hook on the socket behind it (`tcp_connect`, the tracepoint `inet_sock_set_state`) sees the
  backend where Sluice translates at the pods' sockets, which is the default, and the Service's address with `--services
  off` ([services.md](services.md)). Test: `KubernetesServices.AHookOnTheCall*` of `e2e_kube`.
- **Interrupts:** what the kernel does in an interrupt, as it receives packets, is no process's, though it borrows the one
  that runs. There a policy with a `podSelector`, `containerSelector` or `hostSelector` does not hold, filters on the process
  do not match, and negated ones do; an event has no process, and nobody is killed. It cannot be told from a process where
  the kernel does not list its data (CONFIG_KALLSYMS_ALL, which distributions have) or hides addresses from the agent
  (CAP_SYSLOG). Test: `HookedPacket.AnInterrupt*`.
- **Without cgroups** a workload is known by its network namespace, and a process that may make one of its own leaves it.
- **Disabled** (`tetra tracingpolicy disable`): nothing of the policy is in the kernel, until it is enabled again. That, and
  a mode set by `tetra tracingpolicy set-mode`, lasts over restarts and new documents until the policy is deleted.
  `policy-mode` of the document counts only while no mode was set.
- **Counts** begin with 0 when a policy is replaced or the agent starts. `policy-mode: monitor` counts what would have
  been done (`would_enforce`), and does none of it.

## What is stricter than in Tetragon
What Tetragon reads and then ignores, or finds out only in the kernel, is an error here:
- fields, types, operators, actions and options that are not in the tables below, in any other spelling;
- a system call that does not exist or has fewer arguments, and a kernel structure as the argument of a system call;
- `syscall: false` with a name of the form `sys_NAME` of a system call. `syscall` is true unless a hook says otherwise;
- a filter on an argument of type `auto`, and an operator that does not fit the type;
- a number that does not fit its type; a path that does not begin with `/` (`Equal` and `NotEqual`); a reversed range;
- a field that the action does not have. `Sigkill` may have `argError`, which has no effect;
- `Override` on a function that the kernel does not let anybody override, and without a value to return;
- lists and macros that are named and are not there, macros that are there and are not used, names that occur twice;
- a policy without a hook.

What is the same: the value of a returnArg without `return: true` is not shown; `matchArgs` on a tracepoint takes the
index of a field, or the position in `args` if no entry has that index; `index` of several entries of `args` means the
first one, `args: [N]` another; `sizeArgIndex` counts from 1; a NUL at the end of a string is not part of it.

Whether the running kernel has a function, a tracepoint or a hook cannot be known without that kernel: `apply` says it.
Whether an argument is of the type that the file says is checked only for fields of tracepoints.

## Tracepoints, programs and static probes
- **Fields of tracepoints** are counted as in the tracepoint's `format` in tracefs, from 0; the first own one is 4, and the
  common ones before it cannot be read. tracefs need not be mounted: the agent's helper has a mount of its own. A type is
  checked against the format. `auto` is the field's own type.
- **uprobes and usdts** are on files as the agent sees them: in a container, those of the node are below `/proc/1/root`
  (also written `/procRoot/1/root`). Symbols, addresses and probes are looked up when the policy is applied; a file that
  was replaced since, as by an update, needs `apply` again. All processes with the file are watched, those that run
  already too; the usual selectors say for which of them.
- **Changes** (`matchNamespaceChanges`, `matchCapabilityChanges`) are those since the process's last exec; a fork has what
  its parent had. For a process that ran before the first policy with such a filter, they are those since then.
- **`followChildren`** follows what is forked from a process after it executed one of the programs, whatever it executes
  later. Of processes that run already, a process is followed if it or a living ancestor runs one of the programs. A
  process has at most 16 such filters that follow it, then the oldest one forgets it.
- **`followForks` with `isNamespacePID`** looks at the process and at its ancestors in the same pid namespace.
- **`enforcers`** do what `NotifyEnforcer` of the same policy left for the thread, when that comes to one of the calls, and
  once. What is left is the thread's own: no other one, of whatever workload, can make the kernel forget it. A thread has
  room for eight policies at a time; more fail closed: it gets the signal at once, or SIGKILL if an error was to be left.
  A signal needs nothing of the kernel; an error (`argError`) needs what `Override` of the calls needs. On a kernel
  without kprobes, signals for system calls are sent where all calls are seen, too.
- **Lists** of type `generated_syscalls` are the calls of this machine whose name, `sys_NAME`, the pattern matches;
  `generated_ftrace` are functions that tracefs names, without those whose name several functions have.
- **`loader`** is a hook on `security_mmap_file` where a file is mapped as code, with the file and `prot` as arguments and
  the message `loader`; the file's build-id is not read.
- **Arguments of static probes** are those of the probe's note in the file, registers, memory and constants; floating-point
  ones are refused. `btfPath` is refused.
)";

// Which tests of tests/hooks show it in a kernel.
const char* ProofOf(HookKind kind) {
  switch (kind) {
    case HookKind::kKprobe:
      return "functions: FirstHookPolicy.\\*, HookedFunction.\\*; system calls, by a raw tracepoint where the kernel "
             "has no "
             "kprobes: HookedSystemCall.\\*";
    case HookKind::kTracepoint:
      return "those of system calls: HookedSystemCall.\\*; others: HookedTracepoint.\\*";
    case HookKind::kRawTracepoint:
      return "HookedPoint.\\*";
    case HookKind::kLsm:
      return "Trampoline.\\*";
    case HookKind::kFentry:
      return "Trampoline.FentryAndFexit";
    case HookKind::kUprobe:
      return "HookedProgram.\\*";
    case HookKind::kUsdt:
      return "HookedProgram.AStaticProbe\\*";
  }
  return "not yet";
}

const char* ProofOf(ActionType type) {
  switch (type) {
    case ActionType::kPost:
      return "HookedSystemCall.AnEqualTextIsSeen, RateLimit; stacks: "
             "HookedPoint.AnEventHasTheStacksThatItsSelectorWants; imaHash: "
             "refused";
    case ActionType::kNoPost:
      return "HookedSystemCall.SigkillWithoutAnEvent";
    case ActionType::kSigkill:
      return "FirstHookPolicy.\\*, HookedSystemCall.Sigkill, HookChanges.TenThousandSpawnsDieOrLive";
    case ActionType::kSignal:
      return "HookedSystemCall.SignalSendsItsNumber";
    case ActionType::kOverride:
      return "lsmhooks and security_\\*: Trampoline.\\*; system calls: Trampoline.OverrideOfASystemCall\\*; uprobes: "
             "refused";
    case ActionType::kTrackSock:
    case ActionType::kUntrackSock:
      return "names the owner in events: HookedPacket.TrackSock\\*";
    case ActionType::kQuarantine:
      return "HookSubjects.QuarantineCutsTheWorkloadOff, QuarantineE2e.AHook\\* of e2e, scripts/demo";
    case ActionType::kFollowFd:
    case ActionType::kUnfollowFd:
    case ActionType::kCopyFd:
      return "nothing to do: unit_tracing TracingActions.OfTheTable\\*";
    case ActionType::kNotifyEnforcer:
    case ActionType::kCleanupEnforcerNotification:
      return "Enforcer.\\*";
    case ActionType::kSet:
      return "refused: unit_tracing TracingPage.WhatIsNotDone\\*";
    case ActionType::kGetUrl:
    case ActionType::kDnsLookup:
      break;
  }
  return "refused: unit_tracing TracingActions.OfTheTable\\*";
}

std::string HooksTable() {
  std::string text =
      "\n## Hooks\nTests of `hook_policies` run here on the build machine's kernel, and by `scripts/test-vm` on Linux "
      "6.1 and "
      "6.12.\n\n| field of spec | hook | the kernel needs | highest index | enforced |\n| --- | --- | --- | --- | --- "
      "|\n";
  for (const HookKindInfo& info : kHookKinds) {
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", info.name, info.meaning, info.kernels, info.last_index,
                        ProofOf(info.kind));
  }
  return text;
}

std::string OperatorsOf(const ArgTypeInfo& type) {
  std::string text;
  for (const OperatorInfo& op : kOperators) {
    if (Has(op.classes, type.values)) text += fmt::format("{}{}", text.empty() ? "" : " ", op.name);
  }
  return text.empty() ? "none" : text;
}

// Whether the kernel's programs read arguments of the type.
const char* IsRead(const ArgTypeInfo& type) {
  if (type.type == ArgType::kAuto) return "but of system calls and programs";
  if (type.type == ArgType::kDataLoc || type.type == ArgType::kConstBuf) return "in records of tracepoints";
  const Compilation compiled = CompileSpec(Function(fmt::format("args: [{{index: 0, type: {}}}]", type.name)));
  return compiled.policy == nullptr ? "not yet" : "yes";
}

// Which test of tests/hooks reads the type in a kernel. Numbers and texts of random values are compared with the
// reference, by HookReference.
const char* TestOf(ArgType type) {
  switch (type) {
    case ArgType::kAuto:
    case ArgType::kBpfProg:
      return "HookedFunction.AnArgumentOfItsOwnType";
    case ArgType::kDataLoc:
      return "HookedTracepoint.ATextOfItsOwnLength\\*";
    case ArgType::kConstBuf:
      return "HookedTracepoint.ATextInTheRecord\\*";
    case ArgType::kIovIter:
    case ArgType::kKiocb:
      return "HookedFunction.AWriteInProgress";
    case ArgType::kSyscall64:
      return "HookedType.Syscall64\\*";
    case ArgType::kBpfCmd:
    case ArgType::kBpfAttr:
      return "HookedType.BpfCommand\\*";
    case ArgType::kCapability:
      return "HookedType.CapabilitiesHaveNames";
    case ArgType::kCharBuf:
      return "HookedSystemCall.NumbersBuffers\\*";
    case ArgType::kNetDevice:
      return "HookedPacket.NetDevice\\*";
    case ArgType::kFd:
      return "HookedType.Fd\\*";
    case ArgType::kDentry:
      return "HookedExec.Dentry\\*";
    case ArgType::kLinuxBinprm:
      return "HookedExec.LinuxBinprm\\*";
    case ArgType::kFilename:
      return "HookedFunction.AFilename\\*";
    case ArgType::kFile:
      return "HookedExec.File\\*, FirstHookPolicy.\\*";
    case ArgType::kPath:
      return "HookedExec.Path\\*";
    case ArgType::kSock:
    case ArgType::kSocket:
      return "HookedPacket.SockAndSocket\\*";
    case ArgType::kSkb:
      return "HookedPacket.Skb\\*";
    case ArgType::kSockaddr:
      return "HookedType.Sockaddr\\*, HookReference.\\*";
    case ArgType::kSockaddrUn:
      return "HookedType.SockaddrUn\\*";
    case ArgType::kKernelCap:
    case ArgType::kCapInheritable:
    case ArgType::kCapPermitted:
    case ArgType::kCapEffective:
      return "HookedExec.SetsOfCapabilities";
    case ArgType::kCharIovec:
      return "HookedType.CharIovec\\*";
    case ArgType::kNop:
    case ArgType::kUserNamespace:
    case ArgType::kCred:
      return "HookedExec.Credentials\\*";
    case ArgType::kBpfMap:
    case ArgType::kPerfEvent:
      return "HookedFunction.AMapAndAPerfEvent\\*";
    case ArgType::kLoadInfo:
    case ArgType::kModule:
      return "HookedFunction.AModule\\*";
    default:
      return "HookReference.\\*";
  }
}

std::string TypesTable() {
  std::string text =
      "\n## Types of arguments\nA policy with an argument that is not read yet is refused.\n\n"
      "| type | meaning | read | operators | test |\n| --- | --- | --- | --- | --- |\n";
  for (const ArgTypeInfo& info : kArgTypes) {
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", info.name, info.meaning, IsRead(info), OperatorsOf(info),
                        TestOf(info.type));
  }
  return text;
}

const char* FormOf(ValueForm form) {
  switch (form) {
    case ValueForm::kOfType:
      return "of the argument's type";
    case ValueForm::kSet:
      return "numbers, `first:last`, `list:NAME`";
    case ValueForm::kRange:
      return "`first:last`";
    case ValueForm::kPrefix:
    case ValueForm::kPostfix:
    case ValueForm::kSubString:
      return "texts";
    case ValueForm::kPort:
      return "ports, `first:last`";
    case ValueForm::kProtocol:
      return "numbers, `IPPROTO_*`, `first:last`";
    case ValueForm::kFamily:
      return "numbers, `AF_*`, `first:last`";
    case ValueForm::kState:
      return "numbers, `TCP_*`, `first:last`";
    case ValueForm::kAddress:
      return "addresses and CIDRs, IPv4 and IPv6";
    case ValueForm::kFileType:
      return "reg dir lnk sock chr blk fifo";
    case ValueForm::kNone:
    case ValueForm::kRefused:
      return "none";
  }
  return "";
}

// Each operator has a case that matches and one that does not. Those on numbers, texts and addresses also have random
// ones, in HookReference.
const char* TestOf(const OperatorInfo& op) {
  if (op.form == ValueForm::kRefused) return "unit_tracing TracingOperators.\\*";
  if (op.op == Operator::kCapabilitiesGained) return "HookedExec.SetsOfCapabilities";
  if (op.form == ValueForm::kFileType) return "HookedExec.File\\*";
  if (op.op == Operator::kState) return "HookedPacket.SockAndSocket\\*";
  const bool on_flows = (op.classes & kFlowClasses) != 0;
  return on_flows ? "HookedPacket.\\*" : "HookReference.\\*, HookedExec.\\*";
}

std::string OperatorsTable() {
  std::string text =
      "\n## Operators of filters on arguments\n| operator | matches if the argument | values | test |\n| --- | --- | "
      "--- | "
      "--- |\n";
  for (const OperatorInfo& info : kOperators) {
    text += fmt::format("| `{}` | {} | {} | {} |\n", info.name, info.meaning, FormOf(info.form), TestOf(info));
  }
  return text;
}

std::string ActionsTable() {
  std::string text =
      "\n## Actions\n| action | does | fields | the kernel needs | done |\n| --- | --- | --- | --- | --- |\n";
  for (const ActionTypeInfo& info : kActionTypes) {
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", info.name, info.meaning, info.fields, info.kernels,
                        ProofOf(info.type));
  }
  return text;
}

std::string LimitsTable() {
  struct Limit {
    const char* what;
    std::size_t most;
  };
  std::string text = "\n## Limits\n| of | at most |\n| --- | --- |\n";
  for (const Limit& limit :
       {Limit{"hooks of a policy", kMaxHooks}, Limit{"selectors of a hook", kMaxSelectors},
        Limit{"args and data of a hook", kMaxArguments},
        Limit{"matchArgs and matchData of a selector", kMaxArgumentFilters},
        Limit{"actions of a selector", kMaxActions}, Limit{"numbers of a filter", kMaxNumbers},
        Limit{"values of InMap and NotInMap", kMaxSetValues},
        Limit{"ports, protocols, families, states of a filter", kMaxRanges},
        Limit{"addresses of a filter", kMaxAddresses}, Limit{"texts of a filter", kMaxTexts},
        Limit{"bytes of a Prefix value", kMaxPrefixBytes}, Limit{"bytes of a Postfix value", kMaxPostfixBytes},
        Limit{"bytes of a SubString value", kMaxSubStringBytes}, Limit{"pids of a filter", kMaxPids},
        Limit{"namespaces of a filter", kMaxNamespaces}, Limit{"matchNamespaces of a selector", kMaxNamespaceFilters},
        Limit{"fields of a resolve", kMaxResolveDepth}, Limit{"tags of a hook", kMaxTags},
        Limit{"bytes of a message", kMaxMessageBytes}}) {
    text += fmt::format("| {} | {} |\n", limit.what, limit.most);
  }
  return text;
}

std::optional<std::uint32_t> AnyNumber(std::string_view) { return 0; }

// A machine that has every program that a file names.
class AnyProgram final : public ProgramFiles {
 public:
  StatusOr<std::uint64_t> OffsetOfSymbol(const std::string&, const std::string&) const override { return 1; }
  StatusOr<std::uint64_t> OffsetOfAddress(const std::string&, std::uint64_t address) const override { return address; }
  StatusOr<std::vector<StaticProbe>> ProbesOf(const std::string&, const std::string&,
                                              const std::string&) const override {
    return std::vector<StaticProbe>{{.offset = 1, .arguments = "8@$1 8@$2 8@$3 8@$4"}};
  }
  StatusOr<std::string> DigestOf(const std::string&, const std::string&) const override { return ""; }
};

// A kernel with a function that a file's pattern matches.
class OneFunction final : public TracepointFormats {
 public:
  StatusOr<std::vector<TracepointField>> FieldsOf(const std::string& group, const std::string& name) const override {
    return InvalidError("the format of {}/{} is not known here", group, name);
  }
  StatusOr<std::vector<std::string>> Functions() const override { return std::vector<std::string>{"ksys_read"}; }
};

CompileOptions OptionsOfAnyMachine() {
  static const AnyProgram kPrograms;
  static const OneFunction kFunctions;
  CompileOptions options = OptionsOfTests();
  options.syscall_number = AnyNumber;
  options.programs = &kPrograms;
  options.formats = &kFunctions;
  return options;
}

// Parts of the format that this version does not do: with `spec`, the only or first problem is `error`.
struct NotDone {
  const char* what;
  std::string spec;
  const char* error;
};

std::vector<NotDone> NotDoneYet() {
  const std::string action = "selectors: [{matchActions: [{action: ";
  const std::string uprobe = "{uprobes: [{path: /b, symbols: [f], ";
  const std::string usdt = "{usdts: [{path: /b, provider: p, name: probe, ";
  return {
      {"`imaHash` of an action", Lsm(action + "Post, imaHash: true}]}]"),
       "spec.lsmhooks[0].selectors[0].matchActions[0].imaHash: Sluice does not enforce it yet"},
      {"`maxData`; a buffer is read up to 4096 bytes", Function("args: [{index: 0, type: char_buf, maxData: true}]"),
       "spec.kprobes[0].args[0].maxData: Sluice does not enforce it yet"},
      {"`data` with `source: pt_regs`", Function("data: [{index: 0, type: uint64, source: pt_regs}]"),
       "spec.kprobes[0].data[0].source: Sluice does not enforce pt_regs yet"},
      {"`btfType` without `resolve`", Function("args: [{index: 0, type: file, btfType: file}]"),
       "spec.kprobes[0].args[0].btfType: Sluice does not enforce it without resolve yet"},
      {"`btfTypeModule`", Function("args: [{index: 0, type: uint32, resolve: a, btfType: b, btfTypeModule: c}]"),
       "spec.kprobes[0].args[0].btfTypeModule: Sluice does not enforce it yet"},
      {"`followChildren` of matchParentBinaries",
       Function("selectors: [{matchParentBinaries: [{operator: In, values: [/bin/sh], followChildren: true}]}]"),
       "spec.kprobes[0].selectors[0].matchParentBinaries[0].followChildren: Sluice does not enforce it for parents "
       "yet"},
      {"`Override` of uprobes", uprobe + action + "Override, argError: -1}]}]}]}",
       "spec.uprobes[0].selectors: Sluice does not enforce Override of tracepoints and programs yet"},
      {"`Set`", usdt + "args: [{index: 0, type: int64}], " + action + "Set, argIndex: 0, argValue: 1}]}]}]}",
       "spec.usdts[0].selectors[0].matchActions[0].action: Sluice does not enforce Set yet"},
      {"`btfPath` of uprobes and usdts", uprobe + "btfPath: /x}]}",
       "spec.uprobes[0].btfPath: Sluice does not enforce it yet"},
      {"system calls of another ABI, as `arm32/sys_dup`",
       "{lists: [{name: l, type: syscalls, values: [arm32/sys_dup]}], kprobes: [{call: 'list:l'}]}",
       "spec.kprobes[0].call: Sluice does not enforce arm32/sys_dup, a call of another ABI than x64/, yet"},
  };
}

std::string NotDoneTable() {
  std::string text = R"(
## What is not done
Refused by name, by `apply` and at a start (`unit_tracing: TracingPage.WhatIsNotDoneIsRefusedByName`):

| part of the format | message |
| --- | --- |
)";
  for (const NotDone& one : NotDoneYet()) text += fmt::format("| {} | `{}` |\n", one.what, one.error);
  return text + R"(
Accepted, as they change nothing that a policy can see:

| part of the format | here | test |
| --- | --- | --- |
| options `disable-kprobe-multi`, `disable-uprobe-multi` | each function is a hook of its own; `kprobe.multi` and `uprobe.multi` of the kernel are not used | unit_tracing TracingOptions.AreKnown |
| `FollowFD`, `UnfollowFD`, `CopyFD` | the type fd finds its path itself | unit_tracing TracingActions.OfTheTable\* |

How many calls of a function the kernel can follow to their return at a time (`maxactive` of a kretprobe) is the kernel's
choice: twice the number of its CPUs, at least 10 (since Linux 6.1). A return that it leaves out has no event of its own, and no
matchReturnActions; the call's event comes a second later without its result (`unit_hook_events: HookCalls.*`).
)";
}

std::string MadeFromTables() {
  return kHead + HooksTable() + TypesTable() + OperatorsTable() + ActionsTable() + LimitsTable() + NotDoneTable();
}

constexpr const char* kFilesHead = R"(
## Files of Tetragon's repository
Each file of its examples that has such a policy. "compiles": the tables for the kernel have all of it; whether this
kernel can attach its hooks, only `sluice apply` can say. "not yet": the first field that this version does not enforce.
"refused": what `sluice validate` says.

| file | result |
| --- | --- |
)";

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// "compiles", or why not.
std::string ResultOf(const std::string& text) {
  const ParsedText parsed = ParseText("f.yaml", text, {.more_kinds = KindParsers(Reading::kParsed)});
  if (!parsed.problems.empty()) {
    const Problem& first = parsed.problems.front();
    return fmt::format("refused: line {}: {}", first.place.line, first.what);
  }
  const CompileOptions options = OptionsOfAnyMachine();
  for (const Resource& resource : parsed.resources) {
    if (resource.tracing == nullptr) continue;
    const Compilation compiled = Compile(resource.tracing, options);
    if (compiled.policy == nullptr) return "not yet: " + compiled.problems.front().what;
  }
  return "compiles";
}

std::string MadeFromFiles(const fs::path& corpus) {
  std::map<std::string, std::string> rows;
  for (const auto& entry : fs::recursive_directory_iterator(corpus)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".yaml") continue;
    const std::string text = ReadFile(entry.path());
    if (text.find("kind: TracingPolicy") == std::string::npos) continue;
    std::string result = ResultOf(text);
    for (std::size_t bar = 0; (bar = result.find('|', bar)) != std::string::npos; bar += 2) result.insert(bar, "\\");
    rows[fs::relative(entry.path(), corpus)] = result;
  }
  std::string table = kFilesHead;
  for (const auto& [file, result] : rows) table += fmt::format("| {} | {} |\n", file, result);
  return table;
}

fs::path Page() {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  return fs::path(source == nullptr ? "." : source) / "docs/tracing-policy.md";
}

// Where the page's second part begins.
std::size_t FilesBegin(const std::string& page) { return std::min(page.find("\n## Files of "), page.size()); }

TEST(TracingPage, TablesAreThoseOfTheCode) {
  const std::string page = ReadFile(Page());
  const std::size_t files = FilesBegin(page);
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(Page()) << MadeFromTables() + page.substr(files);
  const std::string written = ReadFile(Page());
  EXPECT_EQ(written.substr(0, FilesBegin(written)), MadeFromTables()) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

TEST(TracingPage, FilesLoadOrAreRefusedAsItSays) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr)
    GTEST_SKIP() << "SLUICE_CORPORA names no directory with tetragon/: people's files are not read";
  const std::string made = MadeFromFiles(fs::path(corpora) / "tetragon");
  ASSERT_GT(std::count(made.begin(), made.end(), '\n'), 50) << "too few files below " << corpora;
  const std::string page = ReadFile(Page());
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(Page()) << page.substr(0, FilesBegin(page)) + made;
  const std::string written = ReadFile(Page());
  EXPECT_EQ(written.substr(FilesBegin(written)), made) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

TEST(TracingPage, WhatIsNotDoneIsRefusedByName) {
  for (const NotDone& one : NotDoneYet()) {
    const ParsedSpec parsed = ParseSpec(one.spec);
    ASSERT_TRUE(parsed.problems.empty()) << one.what << ": " << parsed.problems.front().what;
    const Compilation compiled = Compile(parsed.policy, OptionsOfAnyMachine());
    EXPECT_EQ(compiled.policy, nullptr) << one.what;
    ASSERT_FALSE(compiled.problems.empty()) << one.what;
    EXPECT_EQ(compiled.problems.front().what, one.error) << one.what;
  }
}

// Of the page itself, so that a change of the files' part is seen without them: what is refused has a reason that the
// format or the list of refused actions gives, and what is not enforced yet is named.
TEST(TracingPage, RefusedFilesHaveAKnownReason) {
  const std::string text = ReadFile(Page());
  std::istringstream page(text.substr(FilesBegin(text)));
  int compiles = 0, not_yet = 0, refused = 0;
  for (std::string line; std::getline(page, line);) {
    compiles += line.ends_with("| compiles |") ? 1 : 0;
    if (line.find("| not yet: ") != std::string::npos) {
      ++not_yet;
      EXPECT_NE(line.find("| not yet: spec."), std::string::npos) << line;
      EXPECT_NE(line.find("Sluice does not enforce"), std::string::npos) << line;
    }
    if (line.find("| refused: ") == std::string::npos) continue;
    ++refused;
    const bool known = line.find("refused: an agent does not call out") != std::string::npos ||
                       line.find("this has a variable for another tool") != std::string::npos;
    EXPECT_TRUE(known) << line;
  }
  EXPECT_GE(compiles, 58);
  EXPECT_LE(not_yet, 3);
  EXPECT_EQ(refused, 4);
}

}  // namespace
}  // namespace sluice::policy::tracing
