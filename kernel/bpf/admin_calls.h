// The calls that Sluice needs and that the kernel allows only with CAP_SYS_ADMIN: opening BPF objects by number, an
// iterator over another network namespace's sockets, and the events of kprobes, uprobes and tracepoints, which some
// distributions' kernels refuse to CAP_PERFMON (kernel.perf_event_paranoid above 2). The agent's helper makes them
// (ctrl/rights/helper.h); a process with the right makes them itself:
//   SL_ASSIGN_OR_RETURN(Fd program, OwnAdminCalls().OpenProgram(id));
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::bpf {

enum class AdminCall : std::uint32_t {
  kNextLink,        // the number of a link -> the next one's
  kOpenLink,        // number -> descriptor
  kOpenProgram,     // the same
  kOpenTypes,       // the same, for BTF
  kOpenKprobe,      // index of a function that the sensors watch -> descriptor of its event
  kOpenFunction,    // name of a kernel function; 1: its return -> descriptor of its event
  kOpenIterator,    // number of a link; with a network namespace -> descriptor of the link's iterator there
  kOpenTracepoint,  // number of a tracepoint -> descriptor of its event
  kOpenUprobe,      // descriptor of a program or library, offset and counter; 1: the return -> descriptor of the event
  kOpenTracing      // -> descriptor of the root of tracefs, mounted nowhere
};
inline constexpr std::uint32_t kAdminCalls = 10;
inline constexpr std::size_t kFunctionNameSize = 128;  // with its NUL; the kernel knows no longer ones that are probed

struct AdminQuestion {
  AdminCall call = AdminCall::kNextLink;
  std::uint32_t argument = 0;
  char function[kFunctionNameSize] = "";  // of kOpenFunction; else empty
  int netns_fd = -1;                      // of kOpenIterator
  // Of kOpenUprobe: where in the file; and where a counter is that the kernel keeps above 0 while somebody watches, 0:
  // nowhere.
  std::uint64_t offset = 0;
  std::uint64_t counter = 0;
  int file = -1;  // of kOpenUprobe; the caller keeps it
};

struct AdminAnswer {
  int error = 0;             // errno; 0: success
  std::uint32_t number = 0;  // for kNextLink
  int fd = -1;               // for the others; the caller closes it
};

// With the calling process's own rights, and in the calling thread's network namespace. Allocates no memory, so that it
// also works where that is impossible.
AdminAnswer MakeAdminCall(const AdminQuestion& question);
// Opens and reads in advance what MakeAdminCall needs, for a process that cannot open files later.
void PrepareAdminCalls();
// Whether this kernel has events of kprobes, of uprobes.
bool HasKprobes();
bool HasUprobes();

// Thread-safe.
class AdminCalls {
 public:
  virtual ~AdminCalls() = default;

  // NotFound: there is none after `id`.
  StatusOr<std::uint32_t> NextLink(std::uint32_t id) const;
  // NotFound: it is gone. Unavailable: it is being created, and is not attached yet.
  StatusOr<Fd> OpenLink(std::uint32_t id) const;
  StatusOr<Fd> OpenProgram(std::uint32_t id) const;
  StatusOr<Fd> OpenTypes(std::uint32_t id) const;
  // InvalidArgument: the sensors do not watch this function.
  StatusOr<Fd> OpenKprobe(std::string_view function) const;
  // The event of any function, for programs that run when it begins or returns. NotFound: there is no such function.
  // InvalidArgument: the kernel lets nothing probe it, or several functions have this name.
  StatusOr<Fd> OpenFunction(std::string_view function, bool at_return) const;
  // Of a link of a program that iterates over a network namespace's sockets.
  StatusOr<Fd> OpenIterator(std::uint32_t link, int netns_fd) const;
  // `id`: as in events/GROUP/NAME/id of tracefs.
  StatusOr<Fd> OpenTracepoint(std::uint32_t id) const;
  // `file`: open for reading. InvalidArgument: there is no instruction that can be probed.
  StatusOr<Fd> OpenUprobe(int file, std::uint64_t offset, std::uint64_t counter, bool at_return) const;
  // The root of tracefs, for openat. NotFound: this kernel has none.
  StatusOr<Fd> OpenTracing() const;

 private:
  // Its status is an error only if the call could not be made.
  virtual StatusOr<AdminAnswer> Make(const AdminQuestion& question) const = 0;
  StatusOr<Fd> Open(AdminCall call, std::uint32_t argument, const char* what) const;
};

const AdminCalls& OwnAdminCalls();

}  // namespace sluice::bpf
