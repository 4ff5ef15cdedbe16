#include "ctrl/rights/helper_process.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/log.h"
#include "ctrl/rights/rights.h"
#include "ctrl/rights/system_calls.h"
#include "kernel/bpf/admin_calls.h"

namespace sluice::rights {
namespace {

// Its descriptors, beside the standard ones.
constexpr int kSocket = 3;
constexpr int kHome = 4;  // its own network namespace

constexpr int kLost = 3;  // exit code: it cannot answer any more

// setns does not check that: it takes the descriptor of a process too.
bool IsNamespace(int fd) {
  struct statfs facts {};
  return fstatfs(fd, &facts) == 0 && facts.f_type == NSFS_MAGIC;
}

bpf::AdminAnswer MakeSocket(const HelperQuestion& question) {
  bpf::AdminAnswer answer;
  answer.fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, static_cast<int>(question.argument));
  if (answer.fd < 0) answer.error = errno;
  return answer;
}

bpf::AdminAnswer MakeCallWith(const HelperQuestion& question, int file) {
  bpf::AdminQuestion asked{.call = static_cast<bpf::AdminCall>(question.kind),
                           .argument = question.argument,
                           .offset = question.offset,
                           .counter = question.counter,
                           .file = file};
  std::memcpy(asked.function, question.function, sizeof(asked.function));
  return bpf::MakeAdminCall(asked);
}

bpf::AdminAnswer MakeCall(const HelperQuestion& question) { return MakeCallWith(question, -1); }

bpf::AdminAnswer MakeIn(int netns, bpf::AdminAnswer (*make)(const HelperQuestion&), const HelperQuestion& question) {
  if (!IsNamespace(netns)) return {.error = EINVAL};
  if (setns(netns, CLONE_NEWNET) != 0) return {.error = errno};
  const bpf::AdminAnswer answer = make(question);
  // Staying inside would keep a namespace alive that nothing else uses any more.
  if (setns(kHome, CLONE_NEWNET) != 0) _exit(kLost);
  return answer;
}

// The kernel refuses what is no descriptor of a process. The signal is SIGKILL: the only one that the filter allows.
bpf::AdminAnswer Kill(int process) {
  bpf::AdminAnswer answer;
  if (syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0) != 0) answer.error = errno;
  return answer;
}

bpf::AdminAnswer AnswerTo(const HelperQuestion& question, int fd) {
  const bool is_known = question.argument == NETLINK_ROUTE || question.argument == NETLINK_SOCK_DIAG;
  if (question.kind == kSocketIn && is_known && fd >= 0) return MakeIn(fd, MakeSocket, question);
  if (question.kind == kKill && fd >= 0) return Kill(fd);
  const bool is_elsewhere = question.kind == static_cast<std::uint32_t>(bpf::AdminCall::kOpenIterator);
  const bool has_file = question.kind == static_cast<std::uint32_t>(bpf::AdminCall::kOpenUprobe);
  if (question.kind >= bpf::kAdminCalls || (is_elsewhere || has_file) != (fd >= 0)) return {.error = EINVAL};
  return is_elsewhere ? MakeIn(fd, MakeCall, question) : MakeCallWith(question, has_file ? fd : -1);
}

// Allocates nothing.
[[noreturn]] void Serve() {
  while (true) {
    HelperQuestion question;
    int asked_with = -1;
    bpf::AdminAnswer answer{.error = EINVAL};
    if (ReceivePacket(kSocket, &question, sizeof(question), &asked_with)) {
      answer = AnswerTo(question, asked_with);
    } else if (errno == 0) {
      _exit(0);  // the agent has ended
    } else if (errno != EMSGSIZE && errno != EMFILE) {
      _exit(kLost);
    }
    if (asked_with >= 0) close(asked_with);
    const HelperAnswer packet{.error = answer.error, .number = answer.number};
    if (!SendPacket(kSocket, &packet, sizeof(packet), answer.fd)) _exit(kLost);
    if (answer.fd >= 0) close(answer.fd);
  }
}

bool PutAt(int place, int fd) { return fd >= 0 && (fd == place || dup2(fd, place) == place); }

// Keeps no file of the parent's except the socket and standard error.
bool TakeFiles(int socket) {
  const int far = fcntl(socket, F_DUPFD, kHome + 1);  // above the numbers that are assigned below
  const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  const int none = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (far < 0 || home < 0 || none < 0) return false;
  const int home_far = fcntl(home, F_DUPFD, kHome + 1), none_far = fcntl(none, F_DUPFD, kHome + 1);
  return PutAt(0, none_far) && PutAt(1, none_far) && PutAt(kSocket, far) && PutAt(kHome, home_far) &&
         close_range(kHome + 1, ~0U, 0) == 0;
}

// On failure the helper keeps rights that it does not use: no reason not to enforce.
void WarnOf(const Status& status) {
  if (!status.ok()) LogWarn("the helper cannot give up all rights that it does not need: {}", Message(status));
}

[[noreturn]] void BeHelper(int socket, pid_t parent) {
  prctl(PR_SET_NAME, "sluice-helper");
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGQUIT}) std::signal(signal, SIG_IGN);
  if (!TakeFiles(socket)) _exit(kLost);
  bpf::PrepareAdminCalls();
  WarnOf(GiveUpOtherRights(Whose::kHelper));
  // After giving up rights, which may clear it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(0);
  WarnOf(AllowHelperCallsOnly());
  const HelperAnswer ready;
  if (!SendPacket(kSocket, &ready, sizeof(ready), -1)) _exit(kLost);
  Serve();
}

}  // namespace

bool SendPacket(int socket, const void* bytes, std::size_t size, int fd) {
  iovec part{.iov_base = const_cast<void*>(bytes), .iov_len = size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(size);
}

bool ReceivePacket(int socket, void* bytes, std::size_t size, int* fd) {
  *fd = -1;
  iovec part{.iov_base = bytes, .iov_len = size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_LEN(sizeof(int));  // CMSG_SPACE would have room for two
  ssize_t received = 0;
  do {
    received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  } while (received < 0 && errno == EINTR);
  if (received < 0) return false;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  // At least one whole descriptor. If there were more, the kernel has cut them off and has set MSG_CTRUNC.
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS && header->cmsg_len >= CMSG_LEN(sizeof(int)))
    std::memcpy(fd, CMSG_DATA(header), sizeof(*fd));
  const bool has_all = received == static_cast<ssize_t>(size) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  if (has_all) return true;
  if (*fd >= 0) close(*fd);
  *fd = -1;
  if (received == 0) {
    errno = 0;
  } else {
    errno = (message.msg_flags & MSG_CTRUNC) != 0 ? EMFILE : EMSGSIZE;
  }
  return false;
}

StatusOr<HelperProcess> StartHelperProcess() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return ErrnoError(errno, "socketpair");
  HelperProcess helper{.pid = -1, .socket = Fd(ends[0])};
  const Fd far(ends[1]);
  const pid_t parent = getpid();
  helper.pid = fork();
  if (helper.pid < 0) return ErrnoError(errno, "fork");
  if (helper.pid == 0) BeHelper(far.get(), parent);
  return helper;
}

}  // namespace sluice::rights
