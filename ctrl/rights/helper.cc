#include "ctrl/rights/helper.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

namespace sluice::rights {

StatusOr<std::unique_ptr<Helper>> Helper::Start(std::chrono::milliseconds patience) {
  SL_ASSIGN_OR_RETURN(HelperProcess process, StartHelperProcess());
  std::unique_ptr<Helper> helper(new Helper(std::move(process)));
  SL_RETURN_IF_ERROR(helper->Await().status());  // it is ready
  const timeval limit{.tv_sec = patience.count() / 1000, .tv_usec = patience.count() % 1000 * 1000};
  for (const int option : {SO_RCVTIMEO, SO_SNDTIMEO}) {
    if (setsockopt(helper->fd(), SOL_SOCKET, option, &limit, sizeof(limit)) != 0)
      return ErrnoError(errno, "limit how long the helper may take");
  }
  return helper;
}

Helper::~Helper() {
  kill(pid(), SIGKILL);
  waitpid(pid(), nullptr, 0);
}

Status Helper::WhyGone() const {
  siginfo_t how{};
  // The socket is closed a moment before the exit status is available.
  for (int i = 0; i < 100 && how.si_pid == 0; i++) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (waitid(P_PID, static_cast<id_t>(pid()), &how, WEXITED | WNOHANG | WNOWAIT) != 0) break;
  }
  std::string reason = "it gave no answer";
  if (how.si_pid != 0) reason = fmt::format("{} {}", how.si_code == CLD_EXITED ? "exit code" : "signal", how.si_status);
  return MakeError(absl::StatusCode::kInternal, "the helper (pid {}) has ended: {}", pid(), reason);
}

// A late helper gets no further question: its late answer would be taken for the answer to that one.
Status Helper::GiveUp() const {
  shutdown(fd(), SHUT_RDWR);
  return MakeError(absl::StatusCode::kInternal, "the helper (pid {}) does not answer", pid());
}

StatusOr<bpf::AdminAnswer> Helper::Await() const {
  HelperAnswer packet;
  int fd = -1;
  if (ReceivePacket(this->fd(), &packet, sizeof(packet), &fd))
    return bpf::AdminAnswer{.error = packet.error, .number = packet.number, .fd = fd};
  if (errno == EMFILE) return ErrnoError(EMFILE, "receive the helper's descriptor");
  return GiveUp();
}

StatusOr<bpf::AdminAnswer> Helper::Make(const bpf::AdminQuestion& question) const {
  HelperQuestion asked{.kind = static_cast<std::uint32_t>(question.call),
                       .argument = question.argument,
                       .offset = question.offset,
                       .counter = question.counter};
  std::memcpy(asked.function, question.function, sizeof(asked.function));
  return Ask(asked, question.file >= 0 ? question.file : question.netns_fd);
}

StatusOr<Fd> Helper::NetlinkSocketIn(int netns_fd, std::uint32_t protocol) const {
  SL_ASSIGN_OR_RETURN(const bpf::AdminAnswer answer, Ask({.kind = kSocketIn, .argument = protocol}, netns_fd));
  Fd socket(answer.fd);
  if (answer.error != 0) return ErrnoError(answer.error, "make a netlink socket in a network namespace");
  return socket;
}

Status Helper::Kill(int pidfd) const {
  SL_ASSIGN_OR_RETURN(const bpf::AdminAnswer answer, Ask({.kind = kKill}, pidfd));
  if (answer.error == ESRCH) return MakeError(absl::StatusCode::kNotFound, "the process has ended");
  if (answer.error == EBADF) return InvalidError("it is no descriptor of a process");
  return answer.error == 0 ? OkStatus() : ErrnoError(answer.error, "send SIGKILL");
}

StatusOr<bpf::AdminAnswer> Helper::Ask(const HelperQuestion& question, int fd) const {
  const std::lock_guard lock(mutex_);
  if (!SendPacket(this->fd(), &question, sizeof(question), fd)) return GiveUp();
  return Await();
}

}  // namespace sluice::rights
