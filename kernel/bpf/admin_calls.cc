#include "kernel/bpf/admin_calls.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <thread>

namespace sluice::bpf {
namespace {

// The same as the section names of bpf/sensors/process.bpf.c.
constexpr const char* kWatchedFunctions[] = {"finalize_exec", "wake_up_new_task", "acct_process"};

// The type number of kprobe events; 0: this kernel has none.
std::uint32_t ReadKprobeType() {
  const int fd = open("/sys/bus/event_source/devices/kprobe/type", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[16] = "";
  const ssize_t length = read(fd, text, sizeof(text) - 1);
  close(fd);
  return length > 0 ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : 0;
}

std::uint32_t KprobeType() {
  static const std::uint32_t type = ReadKprobeType();
  return type;
}

constexpr std::uint64_t kAtReturn = 1;  // bit 0 of `config`: /sys/bus/event_source/devices/kprobe/format/retprobe

int OpenEvent(const char* function, std::uint64_t config) {
  perf_event_attr event{};
  event.type = KprobeType();
  event.size = sizeof(event);
  event.config = config;
  event.config1 = reinterpret_cast<std::uintptr_t>(function);
  if (event.type == 0) {
    errno = ENOENT;
    return -1;
  }
  // For every process; the CPU does not matter for a kprobe.
  return static_cast<int>(syscall(SYS_perf_event_open, &event, -1, 0, -1, PERF_FLAG_FD_CLOEXEC));
}

int OpenWatched(std::uint32_t function) {
  if (function < std::size(kWatchedFunctions)) return OpenEvent(kWatchedFunctions[function], 0);
  errno = EINVAL;
  return -1;
}

int OpenNamed(const char (&function)[kFunctionNameSize], std::uint32_t at_return) {
  if (function[0] != '\0' && function[kFunctionNameSize - 1] == '\0' && at_return <= 1)
    return OpenEvent(function, at_return != 0 ? kAtReturn : 0);
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

void PrepareAdminCalls() { KprobeType(); }

bool HasKprobes() { return KprobeType() != 0; }

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

const AdminCalls& OwnAdminCalls() {
  static const OwnCalls calls;
  return calls;
}

}  // namespace sluice::bpf
