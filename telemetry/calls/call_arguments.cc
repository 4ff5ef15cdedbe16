#include "telemetry/calls/call_arguments.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>

#include <cstring>
#include <utility>

#include "telemetry/calls/call_names.h"
#include "telemetry/event/text.h"

namespace sluice::telemetry {
namespace {

using policy::rules::Argument;
using policy::rules::DescriptorKind;
using policy::rules::Process;

// The letter of fd.typechar. Listeners have those of servers: 2 and 9.
char LetterOf(DescriptorKind kind) {
  static constexpr char kLetters[] = {'f', 'd', '4', '6', '2', '9', 'u', 'p', 'e', 's',
                                      'l', 'i', 't', 'n', 'b', 'u', 'r', 'm', 'P', 'o'};
  return kLetters[static_cast<std::size_t>(kind)];
}

std::string ErrorText(std::int64_t result) {
  const char* const name = strerrorname_np(static_cast<int>(-result));
  return name == nullptr ? fmt::format("{}", result) : name;
}

// A path of the caller as it is meant.
std::string Meant(const CallRecord& record, sl_call_text text, sl_call_text base) {
  const std::string& path = record.text(text);
  return path.empty() ? "" : MeantPath(record.text(base), path);
}

std::string FirstPath(const CallRecord& record) { return Meant(record, SL_CALL_TEXT_FIRST, SL_CALL_TEXT_FIRST_BASE); }
std::string SecondPath(const CallRecord& record) {
  return Meant(record, SL_CALL_TEXT_SECOND, SL_CALL_TEXT_SECOND_BASE);
}

std::string Octal(std::uint64_t mode) { return fmt::format("0{:o}", mode); }

}  // namespace

std::string& CallArguments::NewText() {
  if (used_ == texts_.size()) texts_.emplace_back();
  return texts_[used_++];
}

void CallArguments::Add(const char* name, std::string text) {
  std::string& kept = NewText();
  kept = std::move(text);
  arguments_.push_back({.name = name, .text = kept});
}

void CallArguments::AddNumber(const char* name, std::int64_t number) { Add(name, fmt::format("{}", number)); }

void CallArguments::AddResult(const CallRecord& record, const char* name) {
  const std::int64_t result = record.event.result;
  Add(name, result < 0 ? ErrorText(result) : fmt::format("{}", result));
}

// "3(<f>/etc/passwd)".
void CallArguments::AddDescriptor(const CallRecord& record, const char* name, std::int64_t number,
                                  const CallDescriptor* descriptor) {
  if (number < 0 && record.failed()) return AddResult(record, name);
  if (descriptor == nullptr) return AddNumber(name, number);
  Add(name, fmt::format("{}(<{}>{})", number, LetterOf(descriptor->descriptor.kind), descriptor->descriptor.name));
}

void CallArguments::AddOpened(const CallRecord& record, const CallDescriptor* descriptor) {
  AddDescriptor(record, "fd", record.event.result, descriptor);
}

void CallArguments::AddDirectory(const char* name, const CallRecord& record, std::uint32_t argument,
                                 sl_call_text base) {
  const auto number = static_cast<std::int32_t>(record.event.arguments[argument]);
  if (number == AT_FDCWD) return Add(name, "AT_FDCWD");
  const std::string& path = record.text(base);
  Add(name, path.empty() ? fmt::format("{}", number) : fmt::format("{}(<d>{})", number, path));
}

void CallArguments::AddMode(const char* name, std::uint64_t mode) { Add(name, ModeNames(mode)); }

void CallArguments::AddUser(const char* name, std::uint64_t uid, const UserName& user_name) {
  const auto number = static_cast<std::uint32_t>(uid);
  std::string text = user_name ? user_name(number) : "";
  if (text.empty()) text = number == ~0U ? "-1" : fmt::format("{}", number);
  Add(name, std::move(text));
}

void CallArguments::FillOpen(const CallRecord& record, const CallDescriptor* descriptor) {
  const sl_call_event& event = record.event;
  const auto& arguments = event.arguments;
  AddOpened(record, descriptor);
  const bool at_directory = record.kind() == SL_CALL_OPENAT || record.kind() == SL_CALL_OPENAT2;
  if (at_directory) AddDirectory("dirfd", record, 0, SL_CALL_TEXT_FIRST_BASE);
  const auto name = [&] {
    // What was opened is known better than by the caller's text.
    if (descriptor != nullptr && descriptor->descriptor.is_open) return descriptor->descriptor.name;
    return FirstPath(record);
  };
  const bool created = !record.failed() && OpenModeOf(record).value_or(policy::rules::OpenMode{}).create;
  const auto flags = [&](std::uint64_t bits) { return OpenFlagNames(bits) + (created ? "|O_F_CREATED" : ""); };
  switch (record.kind()) {
    case SL_CALL_OPEN:
      Add("name", name());
      Add("flags", flags(arguments[1]));
      Add("mode", Octal(arguments[2] & 07777));
      break;
    case SL_CALL_OPENAT:
      Add("name", name());
      Add("flags", flags(arguments[2]));
      Add("mode", Octal(arguments[3] & 07777));
      break;
    case SL_CALL_OPENAT2:
      Add("name", name());
      Add("flags", flags(event.extra[0]));
      Add("mode", Octal(event.extra[1] & 07777));
      Add("resolve", ResolveFlagNames(event.extra[2]));
      break;
    case SL_CALL_CREAT:
      Add("name", name());
      Add("mode", Octal(arguments[1] & 07777));
      break;
    default:  // open_by_handle_at
      AddNumber("mountfd", static_cast<std::int32_t>(arguments[0]));
      Add("flags", flags(arguments[2]));
      Add("path", name());
      break;
  }
  Add("dev", fmt::format("0x{:x}", event.file.device));
  Add("ino", fmt::format("{}", event.file.inode));
}

void CallArguments::FillSocket(const CallRecord& record, const CallDescriptor* descriptor) {
  const auto& arguments = record.event.arguments;
  const std::int64_t number = static_cast<std::int32_t>(arguments[0]);
  const std::string tuple = descriptor != nullptr ? descriptor->descriptor.name : "";
  const auto address = [&] {
    const auto named = ParseCallAddress(record.text(SL_CALL_TEXT_ADDRESS));
    return named ? ToText(*named) : std::string();
  };
  switch (record.kind()) {
    case SL_CALL_CONNECT:
      AddResult(record, "res");
      Add("tuple", tuple);
      AddDescriptor(record, "fd", number, descriptor);
      Add("addr", address());
      break;
    case SL_CALL_ACCEPT:
    case SL_CALL_ACCEPT4:
      AddOpened(record, descriptor);
      Add("tuple", tuple);
      if (record.kind() == SL_CALL_ACCEPT4) AddNumber("flags", static_cast<std::int32_t>(arguments[3]));
      break;
    case SL_CALL_LISTEN:
      AddResult(record, "res");
      AddDescriptor(record, "fd", number, descriptor);
      AddNumber("backlog", static_cast<std::int32_t>(arguments[1]));
      break;
    case SL_CALL_SOCKET:
      AddOpened(record, descriptor);
      Add("domain", FamilyName(static_cast<std::uint32_t>(arguments[0])));
      AddNumber("type", static_cast<std::int64_t>(arguments[1] & 0xf));
      AddNumber("proto", static_cast<std::int32_t>(arguments[2]));
      Add("flags", OpenFlagNames(arguments[1] & (SOCK_CLOEXEC | SOCK_NONBLOCK)));
      break;
    case SL_CALL_BIND:
      AddResult(record, "res");
      Add("addr", address());
      AddDescriptor(record, "fd", number, descriptor);
      break;
    default: {  // messages
      const bool is_message = record.kind() == SL_CALL_SENDMSG || record.kind() == SL_CALL_RECVMSG;
      AddResult(record, "res");
      Add("data", record.text(SL_CALL_TEXT_DATA));
      AddDescriptor(record, "fd", number, descriptor);
      AddNumber("size", is_message ? record.event.result : static_cast<std::int64_t>(arguments[2]));
      Add("tuple", tuple);
      break;
    }
  }
}

void CallArguments::FillFile(const CallRecord& record, const CallDescriptor* descriptor, const UserName& user_name) {
  const auto& arguments = record.event.arguments;
  const std::int64_t number = static_cast<std::int32_t>(arguments[0]);
  AddResult(record, "res");
  switch (record.kind()) {
    case SL_CALL_LINK:
    case SL_CALL_RENAME:
      Add("oldpath", FirstPath(record));
      Add("newpath", SecondPath(record));
      break;
    case SL_CALL_LINKAT:
      AddDirectory("olddir", record, 0, SL_CALL_TEXT_FIRST_BASE);
      Add("oldpath", FirstPath(record));
      AddDirectory("newdir", record, 2, SL_CALL_TEXT_SECOND_BASE);
      Add("newpath", SecondPath(record));
      Add("flags", AtFlagNames(arguments[4]));
      break;
    case SL_CALL_RENAMEAT:
    case SL_CALL_RENAMEAT2:
      AddDirectory("olddirfd", record, 0, SL_CALL_TEXT_FIRST_BASE);
      Add("oldpath", FirstPath(record));
      AddDirectory("newdirfd", record, 2, SL_CALL_TEXT_SECOND_BASE);
      Add("newpath", SecondPath(record));
      if (record.kind() == SL_CALL_RENAMEAT2) Add("flags", RenameFlagNames(arguments[4]));
      break;
    case SL_CALL_SYMLINK:
      Add("target", record.text(SL_CALL_TEXT_FIRST));
      Add("linkpath", SecondPath(record));
      break;
    case SL_CALL_SYMLINKAT:
      Add("target", record.text(SL_CALL_TEXT_FIRST));
      AddDirectory("linkdirfd", record, 1, SL_CALL_TEXT_SECOND_BASE);
      Add("linkpath", SecondPath(record));
      break;
    case SL_CALL_UNLINK:
    case SL_CALL_RMDIR:
      Add("path", FirstPath(record));
      break;
    case SL_CALL_UNLINKAT:
      AddDirectory("dirfd", record, 0, SL_CALL_TEXT_FIRST_BASE);
      Add("name", FirstPath(record));
      Add("flags", UnlinkFlagNames(arguments[2]));
      break;
    case SL_CALL_MKDIR:
      Add("path", FirstPath(record));
      Add("mode", fmt::format("0x{:x}", arguments[1]));
      break;
    case SL_CALL_MKDIRAT:
      AddDirectory("dirfd", record, 0, SL_CALL_TEXT_FIRST_BASE);
      Add("path", FirstPath(record));
      Add("mode", fmt::format("0x{:x}", arguments[2]));
      break;
    case SL_CALL_CHMOD:
      Add("filename", FirstPath(record));
      AddMode("mode", arguments[1]);
      break;
    case SL_CALL_FCHMOD:
      AddDescriptor(record, "fd", number, descriptor);
      AddMode("mode", arguments[1]);
      break;
    case SL_CALL_FCHMODAT:
      AddDirectory("dirfd", record, 0, SL_CALL_TEXT_FIRST_BASE);
      Add("filename", FirstPath(record));
      AddMode("mode", arguments[2]);
      break;
    case SL_CALL_FCHOWNAT:
      AddDirectory("dirfd", record, 0, SL_CALL_TEXT_FIRST_BASE);
      Add("pathname", FirstPath(record));
      AddUser("uid", arguments[2], user_name);
      AddNumber("gid", static_cast<std::int32_t>(arguments[3]));
      Add("flags", AtFlagNames(arguments[4]));
      break;
    default:  // chown, lchown, fchown
      if (record.kind() == SL_CALL_FCHOWN)
        AddDescriptor(record, "fd", number, descriptor);
      else
        Add("path", FirstPath(record));
      AddUser("uid", arguments[1], user_name);
      AddNumber("gid", static_cast<std::int32_t>(arguments[2]));
      break;
  }
}

void CallArguments::FillExec(const CallRecord& record, const Process& process) {
  AddResult(record, "res");
  Add("exe", process.exe);
  Add("args", process.argument_text);
  AddNumber("tid", record.event.tid);
  AddNumber("pid", record.event.pid);
  AddNumber("ptid", process.parent != nullptr ? process.parent->pid : 0);
  Add("cwd", process.cwd);
  Add("comm", process.name);
  AddNumber("tty", process.tty);
  AddNumber("vpgid", process.vpgid.value_or(0));
  AddNumber("loginuid", process.credentials.login_uid ? static_cast<std::int64_t>(*process.credentials.login_uid) : -1);
  Add("flags", ProgramFlagNames(record.event.flags));
  Add("uid", fmt::format("{}", process.credentials.uid));
  Add("trusted_exepath", process.executable.path);
  AddNumber("pgid", process.pgid);
  Add("gid", fmt::format("{}", process.credentials.gid));
  Add("filename", record.failed() ? FirstPath(record) : process.executable.path);
}

void CallArguments::FillOther(const CallRecord& record, const CallDescriptor* descriptor, const UserName& user_name) {
  const auto& arguments = record.event.arguments;
  const std::int64_t number = static_cast<std::int32_t>(arguments[0]);
  switch (record.kind()) {
    case SL_CALL_DUP:
    case SL_CALL_DUP2:
    case SL_CALL_DUP3:
      AddDescriptor(record, "res", record.event.result, descriptor);
      AddNumber("oldfd", number);
      if (record.kind() != SL_CALL_DUP) AddNumber("newfd", static_cast<std::int32_t>(arguments[1]));
      if (record.kind() == SL_CALL_DUP3) Add("flags", OpenFlagNames(arguments[2]));
      break;
    case SL_CALL_SETUID:
      AddResult(record, "res");
      AddUser("uid", arguments[0], user_name);
      break;
    case SL_CALL_SETNS:
      AddResult(record, "res");
      AddDescriptor(record, "fd", number, descriptor);
      Add("nstype", CloneFlagNames(arguments[1]));
      break;
    case SL_CALL_UNSHARE:
      AddResult(record, "res");
      Add("flags", CloneFlagNames(arguments[0]));
      break;
    case SL_CALL_PTRACE:
      AddResult(record, "res");
      Add("addr", fmt::format("0x{:x}", arguments[2]));
      Add("data", fmt::format("0x{:x}", arguments[3]));
      Add("request", TraceRequestName(arguments[0]));
      AddNumber("pid", static_cast<std::int32_t>(arguments[1]));
      break;
    case SL_CALL_MOUNT:
      AddResult(record, "res");
      Add("dev", record.text(SL_CALL_TEXT_FIRST));
      Add("dir", SecondPath(record));
      Add("type", record.text(SL_CALL_TEXT_THIRD));
      Add("flags", MountFlagNames(arguments[3]));
      break;
    case SL_CALL_INIT_MODULE:
      AddResult(record, "res");
      Add("img", "");
      Add("length", fmt::format("{}", arguments[1]));
      Add("uargs", record.text(SL_CALL_TEXT_FIRST));
      break;
    case SL_CALL_FINIT_MODULE:
      AddResult(record, "res");
      AddDescriptor(record, "fd", number, descriptor);
      Add("uargs", record.text(SL_CALL_TEXT_FIRST));
      Add("flags", ModuleFlagNames(arguments[2]));
      break;
    case SL_CALL_BPF:
      AddOpened(record, descriptor);
      Add("cmd", BpfCallName(static_cast<std::uint32_t>(arguments[0])));
      break;
    case SL_CALL_USERFAULTFD:
      AddDescriptor(record, "res", record.event.result, descriptor);
      Add("flags", OpenFlagNames(arguments[0]));
      break;
    case SL_CALL_MEMFD_CREATE:
      AddOpened(record, descriptor);
      Add("name", record.text(SL_CALL_TEXT_FIRST));
      Add("flags", MemoryFileFlagNames(arguments[1]));
      break;
    case SL_CALL_KILL:
      AddResult(record, "res");
      AddNumber("pid", number);
      Add("sig", SignalName(static_cast<int>(arguments[1])));
      break;
    default:
      break;
  }
}

std::span<const Argument> CallArguments::Fill(const CallRecord& record, const CallDescriptor* descriptor,
                                              const Process& process, const UserName& user_name) {
  used_ = 0;
  arguments_.clear();
  const sl_call_kind kind = record.kind();
  if (kind >= SL_CALL_OPEN && kind <= SL_CALL_OPEN_BY_HANDLE_AT) {
    FillOpen(record, descriptor);
  } else if ((kind >= SL_CALL_CONNECT && kind <= SL_CALL_BIND) || (kind >= SL_CALL_SENDTO && kind <= SL_CALL_RECVMSG)) {
    FillSocket(record, descriptor);
  } else if (kind >= SL_CALL_LINK && kind <= SL_CALL_FCHOWNAT) {
    FillFile(record, descriptor, user_name);
  } else if (kind == SL_CALL_EXECVE || kind == SL_CALL_EXECVEAT) {
    FillExec(record, process);
  } else {
    FillOther(record, descriptor, user_name);
  }
  return arguments_;
}

}  // namespace sluice::telemetry
