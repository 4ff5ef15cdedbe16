// What the cases of a suite run: a program that starts the next one of its plan as another user and under another name,
// and whose last one makes the system calls. Plans are made by case_plan.h; SLUICE_SUITE_PLAN has what is left of one,
// SLUICE_SUITE_REPORT the number of a pipe for "leaf PID" and "fail WHAT".
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

constexpr char kPlan[] = "SLUICE_SUITE_PLAN";
constexpr char kReport[] = "SLUICE_SUITE_REPORT";
constexpr unsigned kMostSeconds = 60;  // of a case

using Parts = std::vector<std::string>;

int client = -1, server = -1;  // the ends of `connection`

void Report(const std::string& line) {
  const char* const number = std::getenv(kReport);
  const int fd = number == nullptr ? STDERR_FILENO : std::atoi(number);
  const std::string text = line + "\n";
  if (write(fd, text.data(), text.size()) < 0) _exit(1);
}

[[noreturn]] void Die(const std::string& what) {
  Report("fail " + what + ": " + std::strerror(errno));
  _exit(1);
}

void Check(bool ok, const std::string& what) {
  if (!ok) Die(what);
}

Parts Split(const std::string& line) {
  Parts parts;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find('\t', at), line.size());
    parts.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

int Number(const std::string& text) {
  if (text == "client") return client;
  if (text == "server") return server;
  return std::atoi(text.c_str());
}

// With every capability, as programs have whose files give them all.
void BecomeUser(const std::string& uid, const std::string& gid) {
  const auto user = static_cast<uid_t>(std::strtoul(uid.c_str(), nullptr, 10));
  const auto group = static_cast<gid_t>(std::strtoul(gid.c_str(), nullptr, 10));
  Check(prctl(PR_SET_KEEPCAPS, 1) == 0 && setgroups(0, nullptr) == 0 && setresgid(group, group, group) == 0 &&
            setresuid(user, user, user) == 0,
        "user " + uid);
  __user_cap_header_struct head{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  Check(syscall(SYS_capget, &head, data) == 0, "capget");
  for (auto& half : data) half.effective = half.inheritable = half.permitted;
  Check(syscall(SYS_capset, &head, data) == 0, "capset");
  for (unsigned long one = 0; prctl(PR_CAPBSET_READ, one) >= 0; ++one)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, one, 0, 0);
}

std::vector<char*> Raw(Parts& arguments, std::size_t first) {
  std::vector<char*> raw;
  for (std::size_t i = first; i < arguments.size(); ++i) raw.push_back(arguments[i].data());
  raw.push_back(nullptr);
  return raw;
}

// The exit code of a child that `run` turns into another program.
template <typename Run>
int InChild(const Run& run) {
  const pid_t child = fork();
  Check(child >= 0, "fork");
  if (child == 0) {
    alarm(kMostSeconds);
    run();
    _exit(1);
  }
  int status = 0;
  Check(waitpid(child, &status, 0) == child, "waitpid");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// run FILE UID GID ARGUMENT...
int RunProgram(Parts parts, const std::string& rest) {
  return InChild([&] {
    if (parts[2] != "-") BecomeUser(parts[2], parts[3]);
    Check(setenv(kPlan, rest.c_str(), 1) == 0, "setenv");
    execv(parts[1].c_str(), Raw(parts, 4).data());
    Die("execute " + parts[1]);
  });
}

// from_memory NAME
int RunFromMemory(const std::string& name) {
  const int program = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  const int memory = memfd_create(name.c_str(), MFD_CLOEXEC);
  struct stat info {};
  Check(program >= 0 && memory >= 0 && fstat(program, &info) == 0, "a file in memory");
  for (off_t left = info.st_size; left > 0;) {
    const ssize_t copied = sendfile(memory, program, nullptr, static_cast<std::size_t>(left));
    Check(copied > 0, "copy the program");
    left -= copied;
  }
  return InChild([&] {
    Check(setenv(kPlan, "", 1) == 0, "setenv");
    Parts arguments = {name};
    fexecve(memory, Raw(arguments, 0).data(), environ);
    Die("execute a file in memory");
  });
}

// connection tcp4|tcp6 ADDRESS PORT: both ends are here.
void Connect(const Parts& parts) {
  sockaddr_storage place{};
  socklen_t size = 0;
  const auto port = htons(static_cast<std::uint16_t>(std::atoi(parts[3].c_str())));
  if (parts[1] == "tcp4") {
    auto& to = reinterpret_cast<sockaddr_in&>(place);
    to.sin_family = AF_INET;
    to.sin_port = port;
    Check(inet_pton(AF_INET, parts[2].c_str(), &to.sin_addr) == 1, "address " + parts[2]);
    size = sizeof(to);
  } else {
    auto& to = reinterpret_cast<sockaddr_in6&>(place);
    to.sin6_family = AF_INET6;
    to.sin6_port = port;
    Check(inet_pton(AF_INET6, parts[2].c_str(), &to.sin6_addr) == 1, "address " + parts[2]);
    size = sizeof(to);
  }
  const auto* const address = reinterpret_cast<const sockaddr*>(&place);
  const int on = 1;
  server = socket(place.ss_family, SOCK_STREAM, 0);
  Check(server >= 0 && setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
            bind(server, address, size) == 0 && listen(server, 1) == 0,
        "serve at " + parts[2] + " " + parts[3]);
  client = socket(place.ss_family, SOCK_STREAM, 0);
  Check(client >= 0 && connect(client, address, size) == 0, "connect to " + parts[2] + " " + parts[3]);
}

long Call(const Parts& parts) {
  const std::string& call = parts[0];
  const auto text = [&](std::size_t at) { return parts[at].c_str(); };
  const auto number = [&](std::size_t at) { return Number(parts[at]); };
  if (call == "open") return syscall(SYS_open, text(1), number(2), number(3));
  if (call == "openat") return syscall(SYS_openat, AT_FDCWD, text(1), number(2), number(3));
  if (call == "openat2") {
    open_how how{};
    how.flags = static_cast<std::uint64_t>(number(2));
    how.mode = static_cast<std::uint64_t>(number(3));
    return syscall(SYS_openat2, AT_FDCWD, text(1), &how, sizeof(how));
  }
  if (call == "symlink") return syscall(SYS_symlink, text(1), text(2));
  if (call == "symlinkat") return syscall(SYS_symlinkat, text(1), AT_FDCWD, text(2));
  if (call == "socket") return syscall(SYS_socket, number(1), number(2), number(3));
  if (call == "dup2") return syscall(SYS_dup2, number(1), number(2));
  if (call == "dup3") return syscall(SYS_dup3, number(1), number(2), number(3));
  errno = ENOSYS;
  return -1;
}

int RunLine(const std::string& line, const std::string& rest) {
  const Parts parts = Split(line);
  if (parts[0] == "run") return RunProgram(parts, rest);
  if (parts[0] == "from_memory") return RunFromMemory(parts[1]);
  if (parts[0] == "connection") {
    Connect(parts);
    return 0;
  }
  Check(Call(parts) >= 0, parts[0]);
  return 0;
}

}  // namespace

int main() {
  alarm(kMostSeconds);
  const char* const given = std::getenv(kPlan);
  std::string plan = given == nullptr ? "" : given;
  if (!plan.starts_with("run\t")) Report("leaf " + std::to_string(getpid()));
  while (!plan.empty()) {
    const std::size_t end = plan.find('\n');
    const std::string line = plan.substr(0, end);
    plan = end == std::string::npos ? "" : plan.substr(end + 1);
    if (const int code = RunLine(line, plan); code != 0) return code;
    if (line.starts_with("run\t")) return 0;  // the rest was for that one
  }
  return 0;
}
