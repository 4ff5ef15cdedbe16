// Each type of event, by a child that makes the call: one that succeeds, one that fails, and what the fields say.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/memfd.h>
#include <linux/openat2.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "tests/calls/call_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

// Paths are below this directory, which is the child's working directory. "$D" in expected lines.
struct Place {
  std::string directory;
  std::string In(const std::string& name) const { return directory + "/" + name; }
};

struct TypeCase {
  std::string name;
  std::vector<std::string> types;
  std::function<void(const Place&)> act;  // in a child; files a and dir are there
  std::vector<std::string> fields;
  std::vector<std::string> expected;
};

void PrintTo(const TypeCase& one, std::ostream* out) { *out << one.name; }

long Call(long number, auto... arguments) { return syscall(number, arguments...); }

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

const sockaddr* As(const sockaddr_in& address) { return reinterpret_cast<const sockaddr*>(&address); }

// A listener of TCP on loopback; `port` becomes its port.
int Listener(std::uint16_t* port) {
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = Loopback(0);
  socklen_t length = sizeof(address);
  bind(listener, As(address), sizeof(address));
  listen(listener, 4);
  getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length);
  *port = ntohs(address.sin_port);
  return listener;
}

void MakeModuleCalls(const Place& place) {
  const char image[] = "no module";
  const std::string parameters = "answer=42";  // in memory that is there even if the kernel does not read it
  Call(SYS_init_module, image, sizeof(image), parameters.c_str());
  const int file = open(place.In("a").c_str(), O_RDONLY);
  Call(SYS_finit_module, file, parameters.c_str(), 0);
}

void MakeLinks(const Place& place) {
  link("a", "b");
  linkat(AT_FDCWD, place.In("a").c_str(), AT_FDCWD, "dir/c", 0);
  link("none", "d");
  symlink("../x", "e");
  const int directory = open("dir", O_RDONLY | O_DIRECTORY);
  symlinkat("/etc", directory, "f");
  symlinkat("/etc", directory, "f");
}

void MakeRenames(const Place&) {
  rename("a", "b");
  const int directory = open("dir", O_RDONLY | O_DIRECTORY);
  renameat(AT_FDCWD, "b", directory, "c");
  Call(SYS_renameat2, directory, "c", AT_FDCWD, "a", 1U);
  rename("none", "b");
}

void MakeRemovals(const Place&) {
  unlink("a");
  unlinkat(AT_FDCWD, "./dir/../none", 0);
  mkdir("new", 0750);
  mkdirat(AT_FDCWD, "new/deep", 0700);
  mkdir("new", 0750);
  unlinkat(AT_FDCWD, "new/deep", AT_REMOVEDIR);
  rmdir("new");
}

void MakeModeChanges(const Place& place) {
  chmod("a", 04755);
  const int file = open("a", O_RDONLY);
  fchmod(file, 0600);
  fchmodat(AT_FDCWD, place.In("none").c_str(), 02644, 0);
  Call(SYS_chown, "a", 1, 2);
  lchown("a", 3, 4);
  fchown(file, 5, 6);
  fchownat(AT_FDCWD, "none", 7, 8, AT_SYMLINK_NOFOLLOW);
}

void MakeDatagrams(const Place&) {
  const int receiver = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in to = Loopback(0);
  socklen_t length = sizeof(to);
  bind(receiver, As(to), sizeof(to));
  getsockname(receiver, reinterpret_cast<sockaddr*>(&to), &length);
  const int sender = socket(AF_INET, SOCK_DGRAM, 0);
  sendto(sender, "hello", 5, 0, As(to), sizeof(to));
  char data[16];
  recvfrom(receiver, data, sizeof(data), 0, nullptr, nullptr);
  iovec part{.iov_base = const_cast<char*>("message"), .iov_len = 7};
  msghdr message{};
  message.msg_name = &to;
  message.msg_namelen = sizeof(to);
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  sendmsg(sender, &message, 0);
  part = {.iov_base = data, .iov_len = sizeof(data)};
  message.msg_name = nullptr;
  message.msg_namelen = 0;
  recvmsg(receiver, &message, 0);
  sendto(-1, "lost", 4, 0, As(to), sizeof(to));
}

void MakeBpfCalls(const Place&) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = attributes.value_size = 4;
  attributes.max_entries = 1;
  Call(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));
  Call(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof(attributes));
}

std::vector<TypeCase> Cases() {
  return {
      {"Open",
       {"open", "openat", "openat2", "creat"},
       [](const Place& place) {
         open_how how{.flags = O_RDWR | O_CREAT, .mode = 0700, .resolve = RESOLVE_NO_SYMLINKS};
         Call(SYS_open, place.In("a").c_str(), O_RDONLY);
         Call(SYS_open, "none", O_WRONLY | O_TRUNC);
         Call(SYS_openat, AT_FDCWD, "dir/../a", O_RDWR | O_CLOEXEC);
         Call(SYS_openat, AT_FDCWD, "dir", O_RDONLY | O_DIRECTORY);
         Call(SYS_openat2, AT_FDCWD, "made", &how, sizeof(how));
         Call(SYS_creat, place.In("dir/b").c_str(), 0640);
         Call(SYS_creat, place.In("dir").c_str(), 0640);
       },
       {"evt.type", "evt.res", "fd.typechar", "fd.name", "fd.nameraw", "evt.arg.flags", "evt.is_open_read",
        "evt.is_open_write", "evt.is_open_create", "evt.is_open_exec"},
       {"open SUCCESS f $D/a $D/a O_RDONLY true false false false",
        "open ENOENT f $D/none none O_WRONLY|O_TRUNC false true false false",
        "openat SUCCESS f $D/a dir/../a O_RDWR|O_CLOEXEC true true false false",
        "openat SUCCESS d $D/dir dir O_RDONLY|O_DIRECTORY true false false false",
        "openat2 SUCCESS f $D/made made O_RDWR|O_CREAT|O_F_CREATED true true true true",
        "creat SUCCESS f $D/dir/b $D/dir/b <NA> false true true false",
        "creat EISDIR f $D/dir $D/dir <NA> false true false false"}},
      {"Links",
       {"link", "linkat", "symlink", "symlinkat"},
       MakeLinks,
       {"evt.type", "evt.res", "evt.arg.oldpath", "evt.arg.newpath", "evt.arg.target", "evt.arg.linkpath"},
       {"link SUCCESS $D/a $D/b <NA> <NA>", "linkat SUCCESS $D/a $D/dir/c <NA> <NA>",
        "link ENOENT $D/none $D/d <NA> <NA>", "symlink SUCCESS <NA> <NA> ../x $D/e",
        "symlinkat SUCCESS <NA> <NA> /etc $D/dir/f", "symlinkat EEXIST <NA> <NA> /etc $D/dir/f"}},
      {"Renames",
       {"rename", "renameat", "renameat2"},
       MakeRenames,
       {"evt.type", "evt.res", "evt.arg.oldpath", "evt.arg.newpath", "evt.arg.flags"},
       {"rename SUCCESS $D/a $D/b <NA>", "renameat SUCCESS $D/b $D/dir/c <NA>",
        "renameat2 SUCCESS $D/dir/c $D/a RENAME_NOREPLACE", "rename ENOENT $D/none $D/b <NA>"}},
      {"Removals",
       {"unlink", "unlinkat", "rmdir", "mkdir", "mkdirat"},
       MakeRemovals,
       {"evt.type", "evt.res", "evt.arg.path", "evt.arg.name", "evt.arg.flags", "evt.arg.mode"},
       {"unlink SUCCESS $D/a <NA> <NA> <NA>", "unlinkat ENOENT <NA> $D/none 0 <NA>",
        "mkdir SUCCESS $D/new <NA> <NA> 0x1e8", "mkdirat SUCCESS $D/new/deep <NA> <NA> 0x1c0",
        "mkdir EEXIST $D/new <NA> <NA> 0x1e8", "unlinkat SUCCESS <NA> $D/new/deep AT_REMOVEDIR <NA>",
        "rmdir SUCCESS $D/new <NA> <NA> <NA>"}},
      {"Modes",
       {"chmod", "fchmod", "fchmodat", "chown", "lchown", "fchown", "fchownat"},
       MakeModeChanges,
       {"evt.type", "evt.res", "evt.arg.filename", "fd.name", "evt.arg.mode", "evt.arg.gid"},
       {"chmod SUCCESS $D/a <NA> S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID <NA>",
        "fchmod SUCCESS <NA> $D/a S_IWUSR|S_IRUSR <NA>",
        "fchmodat ENOENT $D/none <NA> S_IROTH|S_IRGRP|S_IWUSR|S_IRUSR|S_ISGID <NA>", "chown SUCCESS <NA> <NA> <NA> 2",
        "lchown SUCCESS <NA> <NA> <NA> 4", "fchown SUCCESS <NA> $D/a <NA> 6", "fchownat ENOENT <NA> <NA> <NA> 8"}},
      {"Sockets",
       {"socket"},
       [](const Place&) {
         socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
         socket(AF_UNIX, SOCK_DGRAM, 0);
         socket(AF_PACKET, SOCK_RAW, 0);
         socket(AF_INET6, 77, 0);
       },
       {"evt.type", "evt.res", "fd.typechar", "fd.l4proto", "evt.arg.domain", "evt.arg.type", "evt.arg.proto"},
       {"socket SUCCESS 4 tcp AF_INET 1 6", "socket SUCCESS u <NA> AF_UNIX 2 0", "socket SUCCESS o <NA> AF_PACKET 3 0",
        "socket EINVAL <NA> <NA> AF_INET6 13 0"}},
      {"Connections",
       {"connect", "accept", "accept4", "listen", "bind"},
       [](const Place&) {
         std::uint16_t port = 0;
         const int listener = Listener(&port);
         const int client = socket(AF_INET, SOCK_STREAM, 0);
         const sockaddr_in address = Loopback(port);
         connect(client, As(address), sizeof(address));
         accept(listener, nullptr, nullptr);
         const int second = socket(AF_INET, SOCK_STREAM, 0);
         connect(second, As(address), sizeof(address));
         accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
         close(listener);
         const sockaddr_in nobody = Loopback(1);
         connect(socket(AF_INET, SOCK_STREAM, 0), As(nobody), sizeof(nobody));
         connect(-1, As(nobody), sizeof(nobody));
       },
       {"evt.type", "evt.res", "fd.typechar", "fd.l4proto", "fd.sip", "fd.cip", "fd.is_server", "fd.connected"},
       {"bind SUCCESS 2 tcp 127.0.0.1 <NA> true false", "listen SUCCESS 2 tcp 127.0.0.1 <NA> true false",
        "connect SUCCESS 4 tcp 127.0.0.1 127.0.0.1 false true", "accept SUCCESS 4 tcp 127.0.0.1 127.0.0.1 true true",
        "connect SUCCESS 4 tcp 127.0.0.1 127.0.0.1 false true", "accept4 SUCCESS 4 tcp 127.0.0.1 127.0.0.1 true true",
        "connect ECONNREFUSED 4 tcp 127.0.0.1 0.0.0.0 false false", "connect EBADF <NA> <NA> <NA> <NA> <NA> <NA>"}},
      {"Datagrams",
       {"sendto", "sendmsg", "recvfrom", "recvmsg"},
       MakeDatagrams,
       {"evt.type", "evt.res", "evt.rawres", "fd.l4proto", "fd.sip", "fd.name_changed", "evt.buffer"},
       {"sendto SUCCESS 5 udp 127.0.0.1 true hello", "recvfrom SUCCESS 5 udp <NA> false hello",
        "sendmsg SUCCESS 7 udp 127.0.0.1 true message", "recvmsg SUCCESS 7 udp <NA> false message",
        "sendto EBADF -9 <NA> <NA> <NA> <NA>"}},
      {"Duplicates",
       {"dup", "dup2", "dup3"},
       [](const Place&) {
         const int file = open("a", O_RDONLY);
         dup(file);
         std::uint16_t port = 0;
         Listener(&port);
         const int client = socket(AF_INET, SOCK_STREAM, 0);
         const sockaddr_in address = Loopback(port);
         connect(client, As(address), sizeof(address));
         Call(SYS_dup2, client, 0);
         dup3(client, 1, O_CLOEXEC);
         Call(SYS_dup2, 999, 0);
       },
       {"evt.type", "evt.res", "evt.arg.newfd", "fd.type", "fd.sip", "fd.is_server"},
       {"dup SUCCESS <NA> file <NA> false", "dup2 SUCCESS 0 ipv4 127.0.0.1 false",
        "dup3 SUCCESS 1 ipv4 127.0.0.1 false", "dup2 EBADF 0 <NA> <NA> <NA>"}},
      {"Processes",
       {"setuid", "setns", "unshare", "ptrace", "kill"},
       [](const Place&) {
         setns(open("/proc/self/ns/uts", O_RDONLY), CLONE_NEWUTS);
         unshare(CLONE_NEWUTS);
         unshare(static_cast<int>(0x40));
         Call(SYS_ptrace, PTRACE_ATTACH, -1, 0, 0);
         kill(getpid(), 0);
         kill(0x7ffffff0, SIGUSR1);
         setuid(12345);
         setuid(0);
       },
       {"evt.type", "evt.res", "evt.arg.flags", "evt.arg.nstype", "evt.arg.request", "evt.arg.uid", "user.uid"},
       {"setns SUCCESS <NA> CLONE_NEWUTS <NA> <NA> 0", "unshare SUCCESS CLONE_NEWUTS <NA> <NA> <NA> 0",
        "unshare EINVAL 0 <NA> <NA> <NA> 0", "ptrace ESRCH <NA> <NA> PTRACE_ATTACH <NA> 0",
        "kill SUCCESS <NA> <NA> <NA> <NA> 0", "kill ESRCH <NA> <NA> <NA> <NA> 0",
        "setuid SUCCESS <NA> <NA> <NA> 12345 12345", "setuid EPERM <NA> <NA> <NA> root 12345"}},
      {"Mounts",
       {"mount"},
       [](const Place& place) {
         unshare(CLONE_NEWNS);
         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
         mount("tmp", "dir", "tmpfs", MS_NOEXEC, nullptr);
         mount("tmp", place.In("none").c_str(), "tmpfs", 0, nullptr);
       },
       {"evt.type", "evt.res", "evt.arg.dev", "evt.arg.dir", "evt.arg.type", "evt.arg.flags"},
       {"mount SUCCESS none /  MS_REC|MS_PRIVATE", "mount SUCCESS tmp $D/dir tmpfs MS_NOEXEC",
        "mount ENOENT tmp $D/none tmpfs 0"}},
      {"Modules",
       {"init_module", "finit_module"},
       MakeModuleCalls,
       {"evt.type", "evt.failed", "fd.name", "evt.arg.uargs"},
       {"init_module true <NA> answer=42", "finit_module true $D/a answer=42"}},
      {"Bpf",
       {"bpf"},
       MakeBpfCalls,
       {"evt.type", "evt.failed", "fd.typechar", "evt.arg.cmd"},
       {"bpf false b BPF_MAP_CREATE", "bpf true <NA> BPF_PROG_LOAD"}},
      {"Memory",
       {"memfd_create", "userfaultfd"},
       [](const Place&) {
         memfd_create("payload", MFD_CLOEXEC);
         memfd_create("payload", ~0U);
         Call(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
       },
       {"evt.type", "evt.res", "fd.typechar", "fd.name", "evt.arg.name"},
       {"memfd_create SUCCESS m /memfd:payload payload", "memfd_create EINVAL <NA> <NA> payload",
        "userfaultfd SUCCESS u /[userfaultfd] <NA>"}},
      {"Programs",
       {"execve", "execveat"},
       [](const Place& place) {
         const char* const arguments[] = {"mytrue", "-x", nullptr};
         const char* const environment[] = {"LD_PRELOAD=/x.so", nullptr};
         execve(place.In("none").c_str(), const_cast<char**>(arguments), const_cast<char**>(environment));
         Call(SYS_execveat, AT_FDCWD, "a", arguments, environment, 0);
         execve("/bin/true", const_cast<char**>(arguments), const_cast<char**>(environment));
       },
       {"evt.type", "evt.res", "evt.arg.filename", "proc.name", "proc.env[LD_PRELOAD]", "proc.cwd"},
       {"execve ENOENT $D/none system_calls <NA> $D/", "execveat EACCES $D/a system_calls <NA> $D/",
        "execve SUCCESS $T true /x.so $D/"}},
  };
}

class SystemCallTypes : public testing::TestWithParam<TypeCase> {};

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); !from.empty() && at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

TEST_P(SystemCallTypes, AreSeen) {
  SL_REQUIRE_BPF();
  const TypeCase& one = GetParam();
  const TempDir directory;
  const Place place{.directory = fs::canonical(directory.path())};
  fs::create_directory(place.In("dir"));
  directory.Write("a", "text", 0644);
  auto fixture = CallFixture::Create({});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  (*fixture)->Keep(one.fields);
  std::string condition = "evt.type in (";
  for (const std::string& type : one.types) condition += (&type == one.types.data() ? "" : ", ") + type;
  // The last parts are never true: they ask for what is only read when a rule asks.
  ASSERT_TRUE((*fixture)
                  ->Require({condition + ")", condition + ") and proc.cwd = x and proc.env[x] = x and fd.nameraw = x",
                             condition + ") and evt.buffer contains x"})
                  .ok());
  const pid_t child = Fork([&] {
    if (chdir(place.directory.c_str()) != 0) _exit(1);
    one.act(place);
  });
  Reap(child);
  (*fixture)->Drain();
  std::vector<std::string> lines = (*fixture)->Lines(child, one.fields);
  for (std::string& line : lines) {
    line = Replaced(line, place.directory, "$D");
    line = Replaced(line, fs::canonical("/bin/true"), "$T");
  }
  EXPECT_EQ(lines, one.expected);
  for (const SeenCall& call : (*fixture)->seen()) {
    EXPECT_TRUE(call.pid != child || call.process_known);
  }
}

INSTANTIATE_TEST_SUITE_P(All, SystemCallTypes, testing::ValuesIn(Cases()),
                         [](const auto& info) { return info.param.name; });

TEST(SystemCallTypes, AllAreInTheTable) {
  policy::rules::EventSet tested;
  for (const TypeCase& one : Cases()) {
    for (const std::string& type : one.types) tested.set(*policy::rules::FindEventType(type));
  }
  tested.set(*policy::rules::FindEventType("open_by_handle_at"));  // needs a file system that gives handles
  EXPECT_EQ(tested, calls::CallStore::SupportedTypes());
}

}  // namespace
}  // namespace sluice::test
