// What a rule may ask about one event. Sensors fill it; policy/rules/fields.h says which field reads what. A fact that
// is not known is absent (an empty optional, a null pointer, or an empty text where it says so): the field is then
// missing, and each check on it is false.
//
// The structures of processes, containers and descriptors live longer than an event, so an event only points to them.
// It owns nothing: all that it points to must stay unchanged while it is used. No structure has a lock.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/resource/address.h"
#include "policy/rules/event_types.h"

namespace sluice::policy::rules {

// Times are nanoseconds since 1970 (UTC), durations are nanoseconds. Numbers are in host byte order.

struct Credentials {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::optional<std::uint32_t> login_uid;  // absent: the process has none, which is -1
  std::string user_name;                   // this and the next ones: empty: not known
  std::string group_name;
  std::string login_name;
  std::string home;
  std::string shell;
};

// The file that a process runs.
struct Executable {
  std::string path;  // in the process's own root, without symbolic links
  bool upper_layer = false;
  bool lower_layer = false;
  bool writable = false;   // by the user that runs it
  bool in_memory = false;  // made by memfd_create
  std::optional<std::uint64_t> inode;
  std::optional<std::uint64_t> changed_ns;   // ctime
  std::optional<std::uint64_t> modified_ns;  // mtime
};

struct SessionLeader {
  std::string name;
  std::string exe;
  std::string exe_path;
};

// One process from its exec to its next exec or its exit. Kept by whoever keeps the processes; `Describe` below fills
// the texts that are made of others once, and not for each event.
struct Process {
  std::int64_t pid = 0;
  std::optional<std::int64_t> vpid;  // in its own pid namespace, as the next ones with a v
  std::int64_t sid = 0;
  std::int64_t pgid = 0;
  std::optional<std::int64_t> vpgid;
  std::string name;  // at most 15 bytes: the kernel's comm
  std::string exe;   // argv[0]
  Executable executable;
  std::vector<std::string> arguments;    // without argv[0]
  std::vector<std::string> environment;  // "NAME=value"
  std::string cwd;                       // ends with "/", as Falco writes it; empty: not known
  std::uint32_t tty = 0;                 // device number; 0: no terminal
  std::optional<std::uint64_t> start_ns;
  std::optional<std::uint64_t> pid_namespace_start_ns;
  std::uint64_t cap_effective = 0;  // bit N is capability N
  std::uint64_t cap_permitted = 0;
  std::uint64_t cap_inheritable = 0;
  Credentials credentials;
  std::optional<SessionLeader> session_leader;
  std::optional<SessionLeader> group_leader;  // of the process group vpgid
  const Process* parent = nullptr;            // null: none, or not known any more

  // Made by Describe.
  std::string argument_text;  // the arguments with a space between
  std::string command_line;   // the name and the arguments
  std::string exe_line;       // argv[0] and the arguments
};

// Sets the texts of `process` that are made of its others.
void Describe(Process& process);

struct Mount {
  std::string source;
  std::string destination;
  std::string mode;
  bool writable = false;
  std::string propagation;
};

// A container, or the host itself: see HostContainer. Empty texts: not known.
struct Container {
  std::string id;  // at most 12 characters, as Falco shows it
  std::string full_id;
  std::string name;
  std::string type;  // "containerd", "docker", ...
  std::string image;
  std::string image_id;
  std::string image_repository;
  std::string image_tag;
  std::string image_digest;
  std::string ip;
  std::optional<bool> privileged;
  std::optional<std::uint64_t> start_ns;
  std::optional<std::vector<Mount>> mounts;
  std::string pod_name;  // Kubernetes; empty: the container is in no pod
  std::string pod_uid;
  std::string pod_namespace;
};

// The container of processes that are in none. Its id and name are "host", and all else is missing.
const Container& HostContainer();

enum class DescriptorKind : std::uint8_t {
  kFile,
  kDirectory,
  kIpv4,
  kIpv6,
  kIpv4Listener,
  kIpv6Listener,
  kUnix,
  kPipe,
  kEvent,
  kSignal,
  kEpoll,
  kInotify,
  kTimer,
  kNetlink,
  kBpf,
  kUserfault,
  kIoUring,
  kMemfd,
  kPidfd,
  kUnknown,
};

// The two ends of a socket. Which end is the server's is for the sensor to know: the end that connected is the client.
struct SocketEnds {
  Address client;
  Address server;
  std::uint16_t client_port = 0;
  std::uint16_t server_port = 0;
  bool local_is_server = false;
  // The names that the addresses are known by: from DNS answers that were seen, or from the resolver.
  std::vector<std::string> client_names;
  std::vector<std::string> server_names;
};

// What the call is about: the descriptor, or for a failed open what would have been one.
struct Descriptor {
  DescriptorKind kind = DescriptorKind::kUnknown;
  bool is_open = true;   // false: the call failed, so only the name and the kind are known
  std::string name;      // a path, or for sockets SocketName()
  std::string raw_name;  // the path as the process wrote it
  std::string protocol;  // "tcp", "udp", "icmp", "raw"; empty: not a socket of IP, or not known
  bool connected = false;
  bool upper_layer = false;
  bool lower_layer = false;
  std::optional<std::uint64_t> inode;
  std::optional<SocketEnds> ends;  // a listener has a server end only
};

// "10.0.0.1:4711->10.0.0.2:80"; a listener is named by its server end.
std::string SocketName(const Descriptor& descriptor);

// One argument of the call, in the order of Falco's table for the event.
struct Argument {
  std::string_view name;  // "flags"
  std::string_view text;  // as it is shown: "O_RDONLY|O_CLOEXEC"
};

struct OpenMode {
  bool read = false;
  bool write = false;
  bool create = false;   // the call made the file
  bool execute = false;  // the call made the file, with permission to run it
};

struct Event {
  EventType type = 0;
  std::uint64_t number = 0;  // counts the events of a source, from 1
  std::uint64_t time_ns = 0;
  std::optional<std::int64_t> result;  // what the call returned; -errno: it failed
  std::optional<std::int64_t> thread;  // its thread id
  std::optional<std::int32_t> cpu;
  const Process* process = nullptr;
  const Container* container = nullptr;  // null: not known yet
  const Descriptor* descriptor = nullptr;
  std::optional<std::int64_t> descriptor_number;  // -1: of a failed open
  bool descriptor_renamed = false;                // the call gave the descriptor another name (sendto of another peer)
  std::span<const Argument> arguments;
  std::optional<OpenMode> open;  // of open, openat, openat2, creat, open_by_handle_at
  std::string_view buffer;       // data that the call wrote or read, as far as it is known
  std::string_view host;         // name of the node
};

}  // namespace sluice::policy::rules
