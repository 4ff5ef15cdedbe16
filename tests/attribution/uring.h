// One io_uring request at a time, on a kernel worker thread (IOSQE_ASYNC). Raw system calls; for child processes: an
// error ends them.
#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "tests/attribution/fixture.h"

namespace sluice::test {

// Empty: the kernel supports io_uring and allows it.
inline std::string MissingUring() {
  io_uring_params parameters{};
  const long fd = syscall(SYS_io_uring_setup, 2, &parameters);
  if (fd < 0) return std::string("io_uring_setup: ") + strerror(errno);
  close(static_cast<int>(fd));
  return {};
}

class Uring {
 public:
  Uring() {
    io_uring_params parameters{};
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, 2, &parameters));
    Require(fd_ >= 0);
    submission_ = Map(IORING_OFF_SQ_RING, parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned));
    completion_ = Map(IORING_OFF_CQ_RING, parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe));
    entry_ = reinterpret_cast<io_uring_sqe*>(Map(IORING_OFF_SQES, parameters.sq_entries * sizeof(io_uring_sqe)));
    offsets_ = parameters;
  }

  int Connect(int socket, const sockaddr_in& to) {
    io_uring_sqe entry{};
    entry.opcode = IORING_OP_CONNECT;
    entry.addr = reinterpret_cast<std::uint64_t>(&to);
    entry.off = sizeof(to);
    return Do(socket, entry);
  }

  int Send(int socket) {
    io_uring_sqe entry{};
    entry.opcode = IORING_OP_SEND;
    entry.addr = reinterpret_cast<std::uint64_t>("x");
    entry.len = 1;
    return Do(socket, entry);
  }

 private:
  char* Map(off_t what, std::size_t size) const {
    void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, what);
    Require(memory != MAP_FAILED);
    return static_cast<char*>(memory);
  }
  static unsigned* At(char* ring, unsigned offset) { return reinterpret_cast<unsigned*>(ring + offset); }

  int Do(int socket, io_uring_sqe entry) {
    entry.fd = socket;
    entry.flags = IOSQE_ASYNC;
    unsigned* const tail = At(submission_, offsets_.sq_off.tail);
    const unsigned index = *tail & *At(submission_, offsets_.sq_off.ring_mask);
    entry_[index] = entry;
    At(submission_, offsets_.sq_off.array)[index] = index;
    __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
    Require(syscall(SYS_io_uring_enter, fd_, 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) == 1);
    unsigned* const head = At(completion_, offsets_.cq_off.head);
    const auto* const done = reinterpret_cast<io_uring_cqe*>(completion_ + offsets_.cq_off.cqes);
    const int result = done[*head & *At(completion_, offsets_.cq_off.ring_mask)].res;
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
    return result;
  }

  int fd_ = -1;
  char* submission_ = nullptr;
  char* completion_ = nullptr;
  io_uring_sqe* entry_ = nullptr;
  io_uring_params offsets_{};
};

}  // namespace sluice::test
