// The helper as a process: the only one with CAP_SYS_ADMIN, without any other right, and with nothing that it could do
// but answer the questions below. Helper (helper.h) asks them.
//
// It is forked, so there must be no threads. It has the socket and the standard error output, and no other file of its
// parent's. It ends with the socket's other end, or with its parent; signals to the whole process group (a stop in
// order) it leaves to the parent.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::rights {

// The questions, each a packet, are the helper's only input: a kind of bpf::AdminCall, or this one.
inline constexpr std::uint32_t kSocketIn = 1000;  // with the descriptor of a network namespace: a netlink socket there

struct HelperQuestion {
  std::uint32_t kind = 0;
  std::uint32_t argument = 0;  // of kSocketIn: 0
};
// With a descriptor, where that was asked for and `error` is 0. The first one comes unasked, when it is ready.
struct HelperAnswer {
  std::int32_t error = 0;    // errno; EINVAL: no such question
  std::uint32_t number = 0;  // bpf::AdminAnswer
};

struct HelperProcess {
  pid_t pid = -1;  // a child of the caller's, which waits for it
  Fd socket;
};
StatusOr<HelperProcess> StartHelperProcess();

// Packets with at most one descriptor; for both ends. False: errno says why; 0: the other end is closed. What is
// received may be of another size than was asked for: then nothing is in `bytes` and the descriptor, and errno is
// EMSGSIZE. EMFILE: a descriptor came and there was no room for it.
bool SendPacket(int socket, const void* bytes, std::size_t size, int fd);
bool ReceivePacket(int socket, void* bytes, std::size_t size, int* fd);

}  // namespace sluice::rights
