// The helper process: the only one with CAP_SYS_ADMIN and CAP_KILL. It has no other right, and can do nothing but
// answer the questions below. Helper (helper.h) asks them.
//
// It is forked, so there must be no threads. Of its parent's files it has only the socket and standard error. It ends
// when the socket's other end is closed or its parent ends. It ignores signals to the whole process group (an orderly
// stop), which are for the parent.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/bpf/admin_calls.h"

namespace sluice::rights {

// The questions, each a packet, are the helper's only input: a kind of bpf::AdminCall (kOpenIterator with the
// descriptor of a network namespace), or one of
// these.
inline constexpr std::uint32_t kSocketIn = 1000;  // with the descriptor of a network namespace: a netlink socket there
inline constexpr std::uint32_t kKill = 1001;      // with the descriptor of a process: SIGKILL to it

struct HelperQuestion {
  std::uint32_t kind = 0;
  std::uint32_t argument = 0;                  // of kSocketIn: NETLINK_ROUTE or NETLINK_SOCK_DIAG
  char function[bpf::kFunctionNameSize] = "";  // of kOpenFunction
  std::uint64_t offset = 0;                    // of kOpenUprobe, which has the descriptor of a file
  std::uint64_t counter = 0;                   // likewise
};
// With a descriptor, if the question asks for one and `error` is 0. The first answer comes without a question, when the
// helper is ready.
struct HelperAnswer {
  std::int32_t error = 0;    // errno; EINVAL: no such question
  std::uint32_t number = 0;  // bpf::AdminAnswer
};

struct HelperProcess {
  pid_t pid = -1;  // a child of the caller's, which waits for it
  Fd socket;
};
StatusOr<HelperProcess> StartHelperProcess();

// Packets with at most one descriptor; for both ends. False: errno says why. 0: the other end is closed. EMSGSIZE: the
// packet had another size than `size`, and there is no descriptor. EMFILE: there was no room for its descriptor.
bool SendPacket(int socket, const void* bytes, std::size_t size, int fd);
bool ReceivePacket(int socket, void* bytes, std::size_t size, int* fd);

}  // namespace sluice::rights
