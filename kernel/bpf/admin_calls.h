// The calls that the kernel keeps for CAP_SYS_ADMIN and that Sluice needs all the same: BPF objects by their numbers,
// and the event of a kprobe, which the kernels of some distributions refuse to CAP_PERFMON (kernel.perf_event_paranoid
// above 2). The agent has its helper make them (ctrl/rights/helper.h); who has the right makes them itself:
//   SL_ASSIGN_OR_RETURN(Fd program, OwnAdminCalls().OpenProgram(id));
#pragma once

#include <cstdint>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::bpf {

enum class AdminCall : std::uint32_t {
  kNextLink,     // the number of a link -> the next one's
  kOpenLink,     // number -> descriptor
  kOpenProgram,  // likewise
  kOpenTypes,    // likewise, of BTF
  kOpenKprobe,   // which one of the functions that the sensors watch -> descriptor of its event
};
inline constexpr std::uint32_t kAdminCalls = 5;

struct AdminAnswer {
  int error = 0;             // errno; 0: it is done
  std::uint32_t number = 0;  // of kNextLink
  int fd = -1;               // of the others; the caller's to close
};

// By the calling process's own right. Allocates nothing, so that it also works where nothing can be allocated.
AdminAnswer MakeAdminCall(AdminCall call, std::uint32_t argument);
// What MakeAdminCall has to read from a file, once; where no file can be opened later.
void PrepareAdminCalls();

// Thread-safe.
class AdminCalls {
 public:
  virtual ~AdminCalls() = default;

  // NotFound: there is none behind `id`.
  StatusOr<std::uint32_t> NextLink(std::uint32_t id) const;
  // NotFound: it is gone. Unavailable: somebody is making it this moment, and it is not attached yet.
  StatusOr<Fd> OpenLink(std::uint32_t id) const;
  StatusOr<Fd> OpenProgram(std::uint32_t id) const;
  StatusOr<Fd> OpenTypes(std::uint32_t id) const;
  // InvalidArgument: none of the functions that the sensors watch.
  StatusOr<Fd> OpenKprobe(std::string_view function) const;

 private:
  // An error of its own: the call could not be made.
  virtual StatusOr<AdminAnswer> Make(AdminCall call, std::uint32_t argument) const = 0;
  StatusOr<Fd> Open(AdminCall call, std::uint32_t argument, const char* what) const;
};

const AdminCalls& OwnAdminCalls();

}  // namespace sluice::bpf
