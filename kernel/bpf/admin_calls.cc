#include "kernel/bpf/admin_calls.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <thread>

namespace sluice::bpf {
namespace {

// The same as the section names of bpf/sensors/process.bpf.c.
constexpr const char* kWatchedFunctions[] = {"finalize_exec", "wake_up_new_task", "acct_process"};

constexpr const char* kKprobe = "/sys/bus/event_source/devices/kprobe/type";
constexpr const char* kUprobe = "/sys/bus/event_source/devices/uprobe/type";

// The type number of such events; 0: this kernel has none.
std::uint32_t ReadEventType(const char* path) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[16] = "";
  const ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  return length > 0 ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : 0;
}

std::uint32_t KprobeType() {
  static const std::uint32_t type = ReadEventType(kKprobe);
  return type;
}

std::uint32_t UprobeType() {
  static const std::uint32_t type = ReadEventType(kUprobe);
  return type;
}

// As in /sys/bus/event_source/devices/{kprobe,uprobe}/format.
constexpr std::uint64_t kAtReturn = 1;
constexpr unsigned kCounterShift = 32;

// For every process; the CPU does not matter for events of these types.
int OpenEvent(std::uint32_t type, std::uint64_t config, const char* name, std::uint64_t offset) {
  perf_event_attr event{};
  event.type = type;
  event.size = sizeof(event);
  event.config = config;
  event.config1 = reinterpret_cast<std::uintptr_t>(name);
  event.config2 = offset;
  return static_cast<int>(syscall(SYS_perf_event_open, &event, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

int OpenKprobeEvent(const char* function, std::uint64_t config) {
  if (const std::uint32_t type = KprobeType()) return OpenEvent(type, config, function, 0);
  errno = ENOENT;
  return -1;
}

// The kernel takes a path. This one is that of the open file, wherever the file is.
int OpenUprobeEvent(const AdminQuestion& question) {
  char path[32] = "/proc/self/fd/";
  char digits[12];
  std::size_t count = 0;
  for (auto rest = static_cast<unsigned>(question.file); count == 0 || rest != 0; rest /= 10)
    digits[count++] = static_cast<char>('0' + rest % 10);
  for (std::size_t i = std::strlen(path); count > 0; ++i) path[i] = digits[--count];
  const bool fits = question.counter >> kCounterShift == 0 && question.argument <= 1 && question.file >= 0;
  if (fits && UprobeType() != 0)
    return OpenEvent(UprobeType(), question.counter << kCounterShift | question.argument, path, question.offset);
  errno = fits ? ENOENT : EINVAL;
  return -1;
}

// Mounts tracefs nowhere, so that nobody else sees it.
int MountTracing() {
  const int context = static_cast<int>(syscall(SYS_fsopen, "tracefs", FSOPEN_CLOEXEC));
  if (context < 0) return -1;
  int root = -1;
  if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0)
    root = static_cast<int>(syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, 0));
  const int error = errno;
  close(context);
  errno = error;
  return root;
}

int OpenTracingRoot() {
  for (const char* const path : {"/sys/kernel/tracing", "/sys/kernel/debug/tracing"}) {
    struct statfs info {};
    if (statfs(path, &info) != 0 || info.f_type != TRACEFS_MAGIC) continue;
    if (const int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC); root >= 0) return root;
  }
  return MountTracing();
}

// Kept open: the helper cannot mount later.
int TracingRoot() {
  static const int root = OpenTracingRoot();
  return root;
}

int OpenWatched(std::uint32_t function) {
  if (function < std::size(kWatchedFunctions)) return OpenKprobeEvent(kWatchedFunctions[function], 0);
  errno = EINVAL;
  return -1;
}

int OpenNamed(const char (&function)[kFunctionNameSize], std::uint32_t at_return) {
  if (function[0] != '\0' && function[kFunctionNameSize - 1] == '\0' && at_return <= 1)
    return OpenKprobeEvent(function, at_return != 0 ? kAtReturn : 0);
  errno = EINVAL;
  return -1;
}

int OpenIterator(std::uint32_t link) {
  const int fd = bpf_link_get_fd_by_id(link);
  if (fd < 0) return -1;
  const int iterator = bpf_iter_create(fd), error = errno;
  close(fd);
  errno = error;
  return iterator;
}

int OpenObject(const AdminQuestion& question) {
  const std::uint32_t argument = question.argument;
  switch (question.call) {
    case AdminCall::kOpenLink:
      return bpf_link_get_fd_by_id(argument);
    case AdminCall::kOpenProgram:
      return bpf_prog_get_fd_by_id(argument);
    case AdminCall::kOpenTypes:
      return bpf_btf_get_fd_by_id(argument);
    case AdminCall::kOpenKprobe:
      return OpenWatched(argument);
    case AdminCall::kOpenFunction:
      return OpenNamed(question.function, argument);
    case AdminCall::kOpenIterator:
      return OpenIterator(argument);
    case AdminCall::kOpenTracepoint:
      return OpenEvent(PERF_TYPE_TRACEPOINT, argument, nullptr, 0);
    case AdminCall::kOpenUprobe:
      return OpenUprobeEvent(question);
    case AdminCall::kOpenTracing:
      if (TracingRoot() >= 0) return fcntl(TracingRoot(), F_DUPFD_CLOEXEC, 0);
      errno = ENOENT;
      return -1;
    default:
      errno = EINVAL;
      return -1;
  }
}

class OwnCalls final : public AdminCalls {
  StatusOr<AdminAnswer> Make(const AdminQuestion& question) const override {
    if (question.netns_fd < 0) return MakeAdminCall(question);
    AdminAnswer answer;
    // The caller's thread stays in its namespace.
    std::thread inside([&] {
      if (setns(question.netns_fd, CLONE_NEWNET) == 0) {
        answer = MakeAdminCall(question);
      } else {
        answer.error = errno;
      }
    });
    inside.join();
    return answer;
  }
};

}  // namespace

AdminAnswer MakeAdminCall(const AdminQuestion& question) {
  AdminAnswer answer;
  if (question.call == AdminCall::kNextLink) {
    if (bpf_link_get_next_id(question.argument, &answer.number) != 0) answer.error = errno;
    return answer;
  }
  answer.fd = OpenObject(question);
  if (answer.fd < 0) answer.error = errno;
  return answer;
}

void PrepareAdminCalls() {
  KprobeType();
  UprobeType();
  TracingRoot();
}

bool HasKprobes() { return KprobeType() != 0; }
bool HasUprobes() { return UprobeType() != 0; }

StatusOr<std::uint32_t> AdminCalls::NextLink(std::uint32_t id) const {
  SL_ASSIGN_OR_RETURN(const AdminAnswer answer, Make({.call = AdminCall::kNextLink, .argument = id}));
  if (answer.error != 0) return ErrnoError(answer.error, "list the BPF links after {}", id);
  return answer.number;
}

StatusOr<Fd> AdminCalls::Open(AdminCall call, std::uint32_t argument, const char* what) const {
  SL_ASSIGN_OR_RETURN(const AdminAnswer answer, Make({.call = call, .argument = argument}));
  Fd fd(answer.fd);
  if (answer.error != 0) return ErrnoError(answer.error, "open {} {}", what, argument);
  return fd;
}

StatusOr<Fd> AdminCalls::OpenLink(std::uint32_t id) const { return Open(AdminCall::kOpenLink, id, "the BPF link"); }
StatusOr<Fd> AdminCalls::OpenProgram(std::uint32_t id) const {
  return Open(AdminCall::kOpenProgram, id, "the BPF program");
}
StatusOr<Fd> AdminCalls::OpenTypes(std::uint32_t id) const { return Open(AdminCall::kOpenTypes, id, "the BTF types"); }

StatusOr<Fd> AdminCalls::OpenKprobe(std::string_view function) const {
  for (std::uint32_t i = 0; i < std::size(kWatchedFunctions); ++i) {
    if (function == kWatchedFunctions[i]) return Open(AdminCall::kOpenKprobe, i, "the kprobe");
  }
  return InvalidError("no sensor watches {}", function);
}

StatusOr<Fd> AdminCalls::OpenFunction(std::string_view function, bool at_return) const {
  AdminQuestion question{.call = AdminCall::kOpenFunction, .argument = at_return ? 1U : 0U};
  if (function.empty() || function.size() >= kFunctionNameSize)
    return InvalidError("{}: the name of a kernel function has 1 to {} bytes", function, kFunctionNameSize - 1);
  std::copy(function.begin(), function.end(), question.function);
  SL_ASSIGN_OR_RETURN(const AdminAnswer answer, Make(question));
  Fd fd(answer.fd);
  if (answer.error == 0) return fd;
  if (answer.error == EADDRNOTAVAIL) return InvalidError("several functions of this kernel are called {}", function);
  if (answer.error == EINVAL) return InvalidError("this kernel lets no program probe {}", function);
  return ErrnoError(answer.error, "open the event of the function {}", function);
}

StatusOr<Fd> AdminCalls::OpenIterator(std::uint32_t link, int netns_fd) const {
  SL_ASSIGN_OR_RETURN(const AdminAnswer answer,
                      Make({.call = AdminCall::kOpenIterator, .argument = link, .function = "", .netns_fd = netns_fd}));
  Fd fd(answer.fd);
  if (answer.error != 0) return ErrnoError(answer.error, "open the iterator of link {} in a network namespace", link);
  return fd;
}

StatusOr<Fd> AdminCalls::OpenTracepoint(std::uint32_t id) const {
  return Open(AdminCall::kOpenTracepoint, id, "the event of the tracepoint");
}

StatusOr<Fd> AdminCalls::OpenUprobe(int file, std::uint64_t offset, std::uint64_t counter, bool at_return) const {
  SL_ASSIGN_OR_RETURN(const AdminAnswer answer, Make({.call = AdminCall::kOpenUprobe,
                                                      .argument = at_return ? 1U : 0U,
                                                      .offset = offset,
                                                      .counter = counter,
                                                      .file = file}));
  Fd fd(answer.fd);
  if (answer.error != 0) return ErrnoError(answer.error, "open the event of offset {:#x}", offset);
  return fd;
}

StatusOr<Fd> AdminCalls::OpenTracing() const { return Open(AdminCall::kOpenTracing, 0, "the root of tracefs"); }

const AdminCalls& OwnAdminCalls() {
  static const OwnCalls calls;
  return calls;
}

}  // namespace sluice::bpf
