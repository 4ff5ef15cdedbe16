#include "policy/tracee/events.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/nearest.h"
#include "policy/resource/resource_scalar.h"

namespace sluice::policy::tracee {
namespace {

constexpr auto kText = DataType::kText;
constexpr auto kNumber = DataType::kNumber;

// Of calls that open a file: the path as the kernel resolved it, where the name of the data says so.
const std::vector<DataField> kOpenedByCall = {{"pathname", "fd.nameraw", kText}, {"flags", "evt.arg.flags", kText}};
const std::vector<DataField> kOpenedFile = {{"pathname", "fd.name", kText}, {"flags", "evt.arg.flags", kText}};
const std::vector<DataField> kExecuted = {{"pathname", "proc.exepath", kText},
                                          {"cmdpath", "proc.exe", kText},
                                          {"argv", "proc.args", kText},
                                          {"prev_comm", "proc.pname", kText}};

EventInfo Call(std::string_view name, std::string condition, std::vector<DataField> data = {}) {
  return {.name = name, .condition = std::move(condition), .data = std::move(data)};
}
// A call by its own name, whether it succeeds or not, as Tracee reports it.
EventInfo SystemCall(std::string_view name, std::vector<DataField> data = {}) {
  return Call(name, "evt.type = " + std::string(name), std::move(data));
}
// What Tracee's own detectors of this name look for, said with the sensors of this agent.
EventInfo Signature(std::string_view name, std::string condition) {
  return {.name = name, .condition = std::move(condition), .data = {}, .is_signature = true};
}

std::vector<EventInfo> MakeEvents() {
  std::vector<EventInfo> all = {
      SystemCall("accept"),
      SystemCall("accept4"),
      SystemCall("bind"),
      SystemCall("bpf"),
      SystemCall("chmod"),
      SystemCall("chown"),
      SystemCall("connect"),
      SystemCall("creat", kOpenedByCall),
      SystemCall("dup"),
      SystemCall("dup2"),
      SystemCall("dup3"),
      SystemCall("execve", kExecuted),
      SystemCall("execveat", kExecuted),
      SystemCall("fchmod"),
      SystemCall("fchmodat"),
      SystemCall("fchown"),
      SystemCall("fchownat"),
      SystemCall("finit_module"),
      SystemCall("init_module"),
      SystemCall("kill"),
      SystemCall("lchown"),
      SystemCall("link"),
      SystemCall("linkat"),
      SystemCall("listen"),
      SystemCall("memfd_create"),
      SystemCall("mkdir"),
      SystemCall("mkdirat"),
      SystemCall("mount"),
      SystemCall("open", kOpenedByCall),
      SystemCall("openat", kOpenedByCall),
      SystemCall("openat2", kOpenedByCall),
      SystemCall("ptrace", {{"request", "evt.arg.request", kText}}),
      SystemCall("recvfrom"),
      SystemCall("recvmsg"),
      SystemCall("rename"),
      SystemCall("renameat"),
      SystemCall("renameat2"),
      SystemCall("rmdir"),
      SystemCall("sendmsg"),
      SystemCall("sendto"),
      SystemCall("setns"),
      SystemCall("setuid"),
      SystemCall("socket"),
      SystemCall("symlink"),
      SystemCall("symlinkat"),
      SystemCall("unlink"),
      SystemCall("unlinkat"),
      SystemCall("unshare"),
      SystemCall("userfaultfd"),
      Call("sched_process_exec", "evt.type in (execve, execveat) and evt.rawres = 0", kExecuted),
      Call("security_file_open", "evt.type in (open, openat, openat2, creat) and fd.num >= 0", kOpenedFile),
      Call("security_inode_unlink", "evt.type in (unlink, unlinkat) and evt.rawres = 0"),
      Call("security_inode_rename", "evt.type in (rename, renameat, renameat2) and evt.rawres = 0"),
      Call("security_inode_symlink", "evt.type in (symlink, symlinkat) and evt.rawres = 0"),
      Call("security_sb_mount", "evt.type = mount and evt.rawres = 0"),
      Call("security_socket_accept", "evt.type in (accept, accept4)"),
      Call("security_socket_bind", "evt.type = bind"),
      Call("security_socket_connect", "evt.type = connect"),
      Call("security_socket_create", "evt.type = socket and evt.rawres >= 0"),
      Call("security_socket_listen", "evt.type = listen"),

      Signature("anti_debugging", "evt.type = ptrace and evt.arg.request contains PTRACE_TRACEME"),
      Signature("aslr_inspection",
                "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and fd.name = "
                "/proc/sys/kernel/randomize_va_space"),
      Signature("cgroup_notify_on_release",
                "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and "
                "fd.filename = notify_on_release and container.id != host"),
      Signature("cgroup_release_agent",
                "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and "
                "fd.filename = release_agent and container.id != host"),
      Signature("core_pattern_modification",
                "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and fd.name = "
                "/proc/sys/kernel/core_pattern"),
      Signature(
          "default_loader_mod",
          "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and fd.filename "
          "startswith ld-linux"),
      Signature(
          "docker_abuse",
          "container.id != host and ((evt.type = connect and fd.name endswith docker.sock) or (evt.type in (open, "
          "openat, openat2) and evt.is_open_write = true and fd.name endswith docker.sock))"),
      Signature("fileless_execution",
                "evt.type in (execve, execveat) and evt.rawres = 0 and proc.is_exe_from_memfd = true"),
      Signature("hidden_file_created",
                "evt.type in (open, openat, openat2, creat) and evt.is_open_create = true and fd.num >= 0 and "
                "fd.filename startswith ."),
      Signature(
          "k8s_cert_theft",
          "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and fd.name startswith "
          "/etc/kubernetes/pki/ and not proc.name in (kube-apiserver, kubelet, kube-controller, etcd)"),
      Signature(
          "k8s_service_account_token",
          "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and fd.filename = token "
          "and fd.name contains secrets/kubernetes.io/serviceaccount"),
      Signature("kernel_module_loading", "evt.type in (init_module, finit_module) and evt.rawres = 0"),
      Signature("ld_preload",
                "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and fd.name = "
                "/etc/ld.so.preload"),
      Signature("proc_kcore_read",
                "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and fd.name = "
                "/proc/kcore"),
      Signature("proc_mem_access",
                "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and fd.name glob "
                "\"/proc/*/mem\""),
      Signature("proc_mem_code_injection",
                "evt.type in (open, openat, openat2) and evt.is_open_write = true and fd.num >= 0 and fd.name glob "
                "\"/proc/*/mem\""),
      Signature("ptrace_code_injection",
                "evt.type = ptrace and (evt.arg.request contains PTRACE_POKETEXT or evt.arg.request contains "
                "PTRACE_POKEDATA)"),
      Signature(
          "rcd_modification",
          "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and (fd.name in "
          "(/etc/rc.local, /etc/init.d/rc.local) or fd.name startswith /etc/init.d/ or fd.name startswith "
          "/etc/rc.d/)"),
      Signature("sched_debug_recon",
                "evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.num >= 0 and fd.name in "
                "(/proc/sched_debug, /sys/kernel/debug/sched/debug)"),
      Signature(
          "scheduled_task_mod",
          "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and (fd.name in "
          "(/etc/crontab, /etc/anacrontab) or fd.name startswith /etc/cron. or fd.name startswith "
          "/var/spool/cron/)"),
      Signature("stdio_over_socket",
                "evt.type in (dup, dup2, dup3) and evt.rawres in (0, 1, 2) and fd.type in (ipv4, ipv6)"),
      Signature(
          "sudoers_modification",
          "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and (fd.name = "
          "/etc/sudoers or fd.name startswith /etc/sudoers.d/ or fd.name startswith /private/etc/sudoers)"),
      Signature(
          "system_request_key_mod",
          "evt.type in (open, openat, openat2, creat) and evt.is_open_write = true and fd.num >= 0 and fd.name in "
          "(/proc/sysrq-trigger, /proc/sys/kernel/sysrq)"),
  };
  std::sort(all.begin(), all.end(), [](const EventInfo& a, const EventInfo& b) { return a.name < b.name; });
  return all;
}

const std::vector<EventInfo>& All() {
  static const std::vector<EventInfo> all = MakeEvents();
  return all;
}

constexpr std::array kContextFields = {
    ContextField{"comm", "proc.name", kText},
    ContextField{"processName", "proc.name", kText},
    ContextField{"executable", "proc.exepath", kText},
    ContextField{"exec", "proc.exepath", kText},
    ContextField{"exe", "proc.exepath", kText},
    ContextField{"bin", "proc.exepath", kText},
    ContextField{"binary", "proc.exepath", kText},
    ContextField{"pid", "proc.pid", kNumber},
    ContextField{"p", "proc.vpid", kNumber},
    ContextField{"processId", "proc.vpid", kNumber},
    ContextField{"hostPid", "proc.pid", kNumber},
    ContextField{"hostProcessId", "proc.pid", kNumber},
    ContextField{"ppid", "proc.pvpid", kNumber},
    ContextField{"hostParentProcessId", "proc.ppid", kNumber},
    ContextField{"hostTid", "thread.tid", kNumber},
    ContextField{"uid", "user.uid", kNumber},
    ContextField{"userId", "user.uid", kNumber},
    ContextField{"hostName", "evt.hostname", kText},
    ContextField{"containerId", "container.full_id", kText},
    ContextField{"containerImage", "container.image", kText},
    ContextField{"containerName", "container.name", kText},
    ContextField{"podName", "k8s.pod.name", kText},
    ContextField{"podNamespace", "k8s.ns.name", kText},
    ContextField{"podUid", "k8s.pod.uid", kText},
};

struct Missing {
  std::string_view prefix;  // of the names
  std::string_view why;
};

// Most particular first.
constexpr std::array kMissing = {
    Missing{"net_packet_", "packets' contents are not decoded"},
    Missing{"net_flow_", "flows are events of their own: sluice observe --type flow"},
    Missing{"net_tcp_", "flows are events of their own: sluice observe --type flow"},
    Missing{"container_", "containers' beginnings and ends are no events here"},
    Missing{"sched_process_exit", "the end of a process is an event of its own: sluice observe --type exit"},
    Missing{"sched_process_fork", "a fork is an event of its own: sluice observe --type fork"},
    Missing{"security_", "no sensor watches this place in the kernel"},
    Missing{"hooked_", "the kernel's own tables are not compared"},
    Missing{"ftrace_", "the kernel's own tables are not compared"},
    Missing{"hidden_kernel_", "the kernel's own tables are not compared"},
    Missing{"stack_pivot", "stacks are not looked at"},
    Missing{"suspicious_syscall_source", "callers' addresses are not looked at"},
    Missing{"vfs_", "reads and writes are not watched"},
    Missing{"magic_write", "reads and writes are not watched"},
    Missing{"file_modification", "reads and writes are not watched"},
};

}  // namespace

std::span<const EventInfo> Events() { return All(); }

const EventInfo* FindEvent(std::string_view name) {
  const auto& all = All();
  const auto at = std::lower_bound(all.begin(), all.end(), name,
                                   [](const EventInfo& event, std::string_view wanted) { return event.name < wanted; });
  return at == all.end() || at->name != name ? nullptr : &*at;
}

std::string_view WhyMissing(std::string_view name) {
  for (const Missing& missing : kMissing) {
    if (name.starts_with(missing.prefix)) return missing.why;
  }
  return "";
}

std::string UnknownEvent(std::string_view name) {
  if (name.starts_with('-'))
    return fmt::format("{}: events are excluded from a set only, and sets are not known here", Quoted(name));
  if (const std::string_view why = WhyMissing(name); !why.empty())
    return fmt::format("{}: there is no such event here: {}", Quoted(name), why);
  std::vector<std::string> names;
  for (const EventInfo& event : Events()) names.emplace_back(event.name);
  const std::string near = Nearest(names, std::string(name));
  return fmt::format("{}: there is no such event here{}", Quoted(name),
                     near.empty() ? "" : fmt::format(": did you mean {}?", near));
}

std::span<const ContextField> ContextFields() { return kContextFields; }

}  // namespace sluice::policy::tracee
