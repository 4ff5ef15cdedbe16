// Fields of the process that caused the event, of its ancestors, its user and its group: proc.*, thread.*, user.*,
// group.*.
#include "policy/rules/field_groups.h"

namespace sluice::policy::rules {
namespace {

// What Falco shows as the name of a user that it does not know.
constexpr std::string_view kUnknown = "<NA>";

using TextOf = std::string_view (*)(const Process&);

std::string_view NameText(const Process& process) { return process.name; }
std::string_view ExeText(const Process& process) { return process.exe; }
std::string_view PathText(const Process& process) { return process.executable.path; }
std::string_view CommandText(const Process& process) { return process.command_line; }
std::string_view ExeLineText(const Process& process) { return process.exe_line; }
std::string_view CwdText(const Process& process) { return process.cwd; }

template <TextOf text>
void Own(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddKnown(text(*event.process));
}

// Of a process without arguments they are an empty text, and not missing.
void OwnArguments(const FieldUse& use, const Event& event, Values& out) {
  if (event.process == nullptr) return;
  if (!use.index) return out.AddText(event.process->argument_text);
  const auto index = static_cast<std::size_t>(*use.index);
  if (index < event.process->arguments.size()) out.AddText(event.process->arguments[index]);
}

template <TextOf text>
void OfParent(const FieldUse&, const Event& event, Values& out) {
  const Process* const parent = Ancestor(event.process, 1);
  if (parent != nullptr) out.AddKnown(text(*parent));
}

template <TextOf text>
void OfAncestors(const FieldUse& use, const Event& event, Values& out) {
  if (use.index) {
    const Process* const one = Ancestor(event.process, *use.index);
    if (one != nullptr) out.AddKnown(text(*one));
    return;
  }
  if (event.process == nullptr) return;
  const Process* one = event.process->parent;
  for (int i = 0; i < kMaxAncestors && one != nullptr; ++i, one = one->parent) out.AddKnown(text(*one));
}

void AncestorPids(const FieldUse& use, const Event& event, Values& out) {
  if (use.index) {
    const Process* const one = Ancestor(event.process, *use.index);
    if (one != nullptr) out.AddSigned(one->pid);
    return;
  }
  if (event.process == nullptr) return;
  const Process* one = event.process->parent;
  for (int i = 0; i < kMaxAncestors && one != nullptr; ++i, one = one->parent) out.AddSigned(one->pid);
}

template <std::int64_t Process::*number>
void OwnNumber(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddSigned(event.process->*number);
}

template <std::optional<std::int64_t> Process::*number>
void OwnVirtual(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr && event.process->*number) out.AddSigned(*(event.process->*number));
}

void ParentPid(const FieldUse&, const Event& event, Values& out) {
  const Process* const parent = Ancestor(event.process, 1);
  if (parent != nullptr) out.AddSigned(parent->pid);
}

void ParentVirtualPid(const FieldUse&, const Event& event, Values& out) {
  const Process* const parent = Ancestor(event.process, 1);
  if (parent != nullptr && parent->vpid) out.AddSigned(*parent->vpid);
}

void Terminal(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddNumber(event.process->tty);
}

void ArgumentCount(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddNumber(event.process->arguments.size());
}

void ArgumentBytes(const FieldUse&, const Event& event, Values& out) {
  if (event.process == nullptr) return;
  std::uint64_t bytes = 0;
  for (const std::string& argument : event.process->arguments) bytes += argument.size();
  out.AddNumber(bytes);
}

void Environment(const FieldUse& use, const Event& event, Values& out) {
  if (event.process == nullptr) return;
  if (use.HasArgument()) {
    const std::string_view name = use.key;
    for (const std::string& entry : event.process->environment) {
      if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=') {
        return out.AddText(std::string_view(entry).substr(name.size() + 1));
      }
    }
    return;
  }
  if (event.process->environment.empty()) return;
  std::string& text = out.Own("");
  for (const std::string& entry : event.process->environment) {
    if (!text.empty()) text += ' ';
    text += entry;
  }
  out.AddText(text);
}

void AddAge(const Process* process, const Event& event, Values& out) {
  if (process == nullptr || !process->start_ns) return;
  out.AddNumber(event.time_ns > *process->start_ns ? event.time_ns - *process->start_ns : 0);
}

void Age(const FieldUse&, const Event& event, Values& out) { AddAge(event.process, event, out); }
void ParentAge(const FieldUse&, const Event& event, Values& out) { AddAge(Ancestor(event.process, 1), event, out); }

void Start(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr && event.process->start_ns) out.AddNumber(*event.process->start_ns);
}

void ParentStart(const FieldUse&, const Event& event, Values& out) {
  const Process* const parent = Ancestor(event.process, 1);
  if (parent != nullptr && parent->start_ns) out.AddNumber(*parent->start_ns);
}

template <bool Executable::*flag>
void ExecutableFlag(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddNumber(event.process->executable.*flag ? 1 : 0);
}

template <std::optional<std::uint64_t> Executable::*number>
void ExecutableNumber(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr && event.process->executable.*number) {
    out.AddNumber(*(event.process->executable.*number));
  }
}

// 0 if the file did not change before the process began.
void AddSince(const std::optional<std::uint64_t>& first, const std::optional<std::uint64_t>& then, Values& out) {
  if (first && then) out.AddNumber(*then > *first ? *then - *first : 0);
}

void ChangedBeforeStart(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) AddSince(event.process->executable.changed_ns, event.process->start_ns, out);
}

void ChangedAfterNamespace(const FieldUse&, const Event& event, Values& out) {
  if (event.process == nullptr) return;
  AddSince(event.process->pid_namespace_start_ns, event.process->executable.changed_ns, out);
}

void NamespaceStart(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr && event.process->pid_namespace_start_ns) {
    out.AddNumber(*event.process->pid_namespace_start_ns);
  }
}

template <std::optional<SessionLeader> Process::*leader, std::string SessionLeader::*text>
void OfLeader(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr && event.process->*leader) out.AddKnown((*(event.process->*leader)).*text);
}

void LeadsSession(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddNumber(event.process->sid == event.process->pid ? 1 : 0);
}

void LeadsGroup(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddNumber(event.process->pgid == event.process->pid ? 1 : 0);
}

void LeadsVirtualGroup(const FieldUse&, const Event& event, Values& out) {
  if (event.process == nullptr || !event.process->vpgid || !event.process->vpid) return;
  out.AddNumber(*event.process->vpgid == *event.process->vpid ? 1 : 0);
}

template <std::uint64_t Process::*set>
void Capabilities(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddOwned(CapabilityNames(event.process->*set));
}

void Thread(const FieldUse&, const Event& event, Values& out) {
  if (event.thread) out.AddSigned(*event.thread);
}

template <std::uint32_t Credentials::*number>
void CredentialNumber(const FieldUse&, const Event& event, Values& out) {
  if (event.process != nullptr) out.AddNumber(event.process->credentials.*number);
}

template <std::string Credentials::*text>
void CredentialText(const FieldUse&, const Event& event, Values& out) {
  if (event.process == nullptr) return;
  const std::string& known = event.process->credentials.*text;
  out.AddText(known.empty() ? kUnknown : std::string_view(known));
}

void LoginUid(const FieldUse&, const Event& event, Values& out) {
  if (event.process == nullptr) return;
  const auto& login = event.process->credentials.login_uid;
  out.AddSigned(login ? static_cast<std::int64_t>(*login) : -1);
}

using enum ValueType;
constexpr FieldFlags kAncestorFlags = {.no_operand = true, .no_transform = true};

constexpr FieldInfo kProcessFields[] = {
    {"group.gid", kUnsigned, Many::kOne, ArgumentForm::kNone, CredentialNumber<&Credentials::gid>,
     "the group's number"},
    {"group.name", kText, Many::kOne, ArgumentForm::kNone, CredentialText<&Credentials::group_name>,
     "the group's name, or <NA>"},
    {"proc.acmdline", kText, Many::kAny, ArgumentForm::kAncestor, OfAncestors<CommandText>,
     "command lines of the ancestors", kAncestorFlags},
    {"proc.aexe", kText, Many::kAny, ArgumentForm::kAncestor, OfAncestors<ExeText>, "argv[0] of the ancestors",
     kAncestorFlags},
    {"proc.aexepath", kText, Many::kAny, ArgumentForm::kAncestor, OfAncestors<PathText>,
     "paths of the programs of the ancestors", kAncestorFlags},
    {"proc.aname", kText, Many::kAny, ArgumentForm::kAncestor, OfAncestors<NameText>, "names of the ancestors",
     kAncestorFlags},
    {"proc.apid", kSigned, Many::kAny, ArgumentForm::kAncestor, AncestorPids, "process ids of the ancestors",
     kAncestorFlags},
    {"proc.args", kText, Many::kOne, ArgumentForm::kPosition, OwnArguments, "the arguments without argv[0]"},
    {"proc.cmdlenargs", kUnsigned, Many::kOne, ArgumentForm::kNone, ArgumentBytes,
     "the bytes of the arguments, without spaces between"},
    {"proc.cmdline", kText, Many::kOne, ArgumentForm::kNone, Own<CommandText>, "name and arguments"},
    {"proc.cmdnargs", kUnsigned, Many::kOne, ArgumentForm::kNone, ArgumentCount, "how many arguments there are"},
    {"proc.cwd", kText, Many::kOne, ArgumentForm::kNone, Own<CwdText>, "the working directory, with / at the end"},
    {"proc.duration", kDuration, Many::kOne, ArgumentForm::kNone, Age, "time since the process began"},
    {"proc.env", kText, Many::kOne, ArgumentForm::kName, Environment, "the environment, or one variable of it"},
    {"proc.exe", kText, Many::kOne, ArgumentForm::kNone, Own<ExeText>, "argv[0]"},
    {"proc.exe_ino", kSigned, Many::kOne, ArgumentForm::kNone, ExecutableNumber<&Executable::inode>,
     "the inode of the program's file"},
    {"proc.exe_ino.ctime", kTime, Many::kOne, ArgumentForm::kNone, ExecutableNumber<&Executable::changed_ns>,
     "when the program's inode last changed"},
    {"proc.exe_ino.ctime_duration_pidns_start", kTime, Many::kOne, ArgumentForm::kNone, ChangedAfterNamespace,
     "from the beginning of the pid namespace to that change; 0 if it was before"},
    {"proc.exe_ino.ctime_duration_proc_start", kTime, Many::kOne, ArgumentForm::kNone, ChangedBeforeStart,
     "from that change to the beginning of the process; 0 if it was after"},
    {"proc.exe_ino.mtime", kTime, Many::kOne, ArgumentForm::kNone, ExecutableNumber<&Executable::modified_ns>,
     "when the program's file was last written"},
    {"proc.exeline", kText, Many::kOne, ArgumentForm::kNone, Own<ExeLineText>, "argv[0] and arguments"},
    {"proc.exepath", kText, Many::kOne, ArgumentForm::kNone, Own<PathText>, "the path of the program's file"},
    {"proc.is_exe_from_memfd", kBool, Many::kOne, ArgumentForm::kNone, ExecutableFlag<&Executable::in_memory>,
     "the program's file was made by memfd_create"},
    {"proc.is_exe_lower_layer", kBool, Many::kOne, ArgumentForm::kNone, ExecutableFlag<&Executable::lower_layer>,
     "the program's file is of the container's image"},
    {"proc.is_exe_upper_layer", kBool, Many::kOne, ArgumentForm::kNone, ExecutableFlag<&Executable::upper_layer>,
     "the program's file was made in the container"},
    {"proc.is_exe_writable", kBool, Many::kOne, ArgumentForm::kNone, ExecutableFlag<&Executable::writable>,
     "the user may write the program's file"},
    {"proc.is_pgid_leader", kBool, Many::kOne, ArgumentForm::kNone, LeadsGroup, "it leads its process group"},
    {"proc.is_sid_leader", kBool, Many::kOne, ArgumentForm::kNone, LeadsSession, "it leads its session"},
    {"proc.is_vpgid_leader", kBool, Many::kOne, ArgumentForm::kNone, LeadsVirtualGroup,
     "it leads its process group, by the numbers in its pid namespace"},
    {"proc.name", kText, Many::kOne, ArgumentForm::kNone, Own<NameText>, "the kernel's name of it, at most 15 bytes"},
    {"proc.pcmdline", kText, Many::kOne, ArgumentForm::kNone, OfParent<CommandText>, "the parent's command line"},
    {"proc.pexe", kText, Many::kOne, ArgumentForm::kNone, OfParent<ExeText>, "the parent's argv[0]"},
    {"proc.pexepath", kText, Many::kOne, ArgumentForm::kNone, OfParent<PathText>, "the path of the parent's program"},
    {"proc.pgid", kSigned, Many::kOne, ArgumentForm::kNone, OwnNumber<&Process::pgid>, "its process group"},
    {"proc.pid", kSigned, Many::kOne, ArgumentForm::kNone, OwnNumber<&Process::pid>, "its process id"},
    {"proc.pid.ts", kDuration, Many::kOne, ArgumentForm::kNone, Start, "when it began, since 1970"},
    {"proc.pidns_init_start_ts", kUnsigned, Many::kOne, ArgumentForm::kNone, NamespaceStart,
     "when its pid namespace began, in nanoseconds since 1970"},
    {"proc.pname", kText, Many::kOne, ArgumentForm::kNone, OfParent<NameText>, "the parent's name"},
    {"proc.ppid", kSigned, Many::kOne, ArgumentForm::kNone, ParentPid, "the parent's process id"},
    {"proc.ppid.duration", kDuration, Many::kOne, ArgumentForm::kNone, ParentAge, "time since the parent began"},
    {"proc.ppid.ts", kDuration, Many::kOne, ArgumentForm::kNone, ParentStart, "when the parent began, since 1970"},
    {"proc.pvpid", kSigned, Many::kOne, ArgumentForm::kNone, ParentVirtualPid,
     "the parent's process id in its pid namespace"},
    {"proc.sid", kSigned, Many::kOne, ArgumentForm::kNone, OwnNumber<&Process::sid>, "its session"},
    {"proc.sid.exe", kText, Many::kOne, ArgumentForm::kNone, OfLeader<&Process::session_leader, &SessionLeader::exe>,
     "argv[0] of the session's leader"},
    {"proc.sid.exepath", kText, Many::kOne, ArgumentForm::kNone,
     OfLeader<&Process::session_leader, &SessionLeader::exe_path>, "the path of the program of the session's leader"},
    {"proc.sname", kText, Many::kOne, ArgumentForm::kNone, OfLeader<&Process::session_leader, &SessionLeader::name>,
     "the name of the session's leader"},
    {"proc.tty", kUnsigned, Many::kOne, ArgumentForm::kNone, Terminal, "its terminal's device number; 0: none"},
    {"proc.vpgid", kSigned, Many::kOne, ArgumentForm::kNone, OwnVirtual<&Process::vpgid>,
     "its process group in its pid namespace"},
    {"proc.vpgid.exe", kText, Many::kOne, ArgumentForm::kNone, OfLeader<&Process::group_leader, &SessionLeader::exe>,
     "argv[0] of the process group's leader"},
    {"proc.vpgid.exepath", kText, Many::kOne, ArgumentForm::kNone,
     OfLeader<&Process::group_leader, &SessionLeader::exe_path>,
     "the path of the program of the process group's leader"},
    {"proc.vpgid.name", kText, Many::kOne, ArgumentForm::kNone, OfLeader<&Process::group_leader, &SessionLeader::name>,
     "the name of the process group's leader"},
    {"proc.vpid", kSigned, Many::kOne, ArgumentForm::kNone, OwnVirtual<&Process::vpid>,
     "its process id in its pid namespace"},
    {"thread.cap_effective", kText, Many::kOne, ArgumentForm::kNone, Capabilities<&Process::cap_effective>,
     "effective capabilities: CAP_CHOWN CAP_KILL"},
    {"thread.cap_inheritable", kText, Many::kOne, ArgumentForm::kNone, Capabilities<&Process::cap_inheritable>,
     "inheritable capabilities"},
    {"thread.cap_permitted", kText, Many::kOne, ArgumentForm::kNone, Capabilities<&Process::cap_permitted>,
     "permitted capabilities"},
    {"thread.tid", kSigned, Many::kOne, ArgumentForm::kNone, Thread, "the thread's id"},
    {"user.homedir", kText, Many::kOne, ArgumentForm::kNone, CredentialText<&Credentials::home>,
     "the user's home directory, or <NA>"},
    {"user.loginname", kText, Many::kOne, ArgumentForm::kNone, CredentialText<&Credentials::login_name>,
     "the name of the user that logged in, or <NA>"},
    {"user.loginuid", kSigned, Many::kOne, ArgumentForm::kNone, LoginUid, "its number; -1: nobody logged in"},
    {"user.name", kText, Many::kOne, ArgumentForm::kNone, CredentialText<&Credentials::user_name>,
     "the user's name, or <NA>"},
    {"user.shell", kText, Many::kOne, ArgumentForm::kNone, CredentialText<&Credentials::shell>,
     "the user's shell, or <NA>"},
    {"user.uid", kUnsigned, Many::kOne, ArgumentForm::kNone, CredentialNumber<&Credentials::uid>, "the user's number"},
};

}  // namespace

std::span<const FieldInfo> ProcessFields() { return kProcessFields; }

const Process* Ancestor(const Process* process, int distance) {
  if (distance > kMaxAncestors) return nullptr;
  for (int i = 0; i < distance && process != nullptr; ++i) process = process->parent;
  return process;
}

}  // namespace sluice::policy::rules
