#include "policy/rules/event_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <limits>

#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "policy/rules/field_groups.h"

namespace sluice::policy::rules {
namespace {

using Json = nlohmann::json;

// In the order of DescriptorKind.
constexpr std::array<std::string_view, 20> kKindNames = {
    "file",  "directory", "ipv4",  "ipv6",    "ipv4Listener", "ipv6Listener", "unix",    "pipe",  "event", "signal",
    "epoll", "inotify",   "timer", "netlink", "bpf",          "userfault",    "ioUring", "memfd", "pidfd", "unknown"};

// Reads the keys of one object. The first problem counts.
class ObjectReader {
 public:
  ObjectReader(const Json& json, std::string path) : json_(json), path_(std::move(path)) {
    if (!json.is_object()) Fail("", "is no object");
  }

  const Status& status() const { return status_; }
  void Fail(std::string_view key, std::string_view what) {
    const std::string at = path_.empty() || key.empty() ? path_ + std::string(key) : path_ + "." + std::string(key);
    status_.Update(InvalidError("{}{}{}", at, at.empty() ? "" : ": ", what));
  }

  // The value of a key; null: it is not there.
  const Json* Find(const char* key) {
    known_.push_back(key);
    if (!json_.is_object()) return nullptr;
    const auto at = json_.find(key);
    return at == json_.end() ? nullptr : &*at;
  }
  std::string PathOf(const char* key) const { return path_.empty() ? key : path_ + "." + key; }

  void Read(const char* key, std::string& value) {
    const Json* const found = Find(key);
    if (found == nullptr) return;
    if (!found->is_string()) return Fail(key, "is no text");
    value = found->get<std::string>();
  }
  void Read(const char* key, bool& value) {
    const Json* const found = Find(key);
    if (found == nullptr) return;
    if (!found->is_boolean()) return Fail(key, "is not true or false");
    value = found->get<bool>();
  }
  template <typename T>
  requires std::is_integral_v<T>
  void Read(const char* key, T& value) {
    const Json* const found = Find(key);
    if (found == nullptr) return;
    const bool fits =
        std::is_unsigned_v<T>
            ? found->is_number_unsigned() && found->get<std::uint64_t>() <= std::numeric_limits<T>::max()
            : found->is_number_integer() &&
                  (!found->is_number_unsigned() ||
                   found->get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max()));
    if (!fits || (std::is_signed_v<T> && !found->is_number_unsigned() &&
                  found->get<std::int64_t>() < static_cast<std::int64_t>(std::numeric_limits<T>::min()))) {
      return Fail(key, "is no whole number of its range");
    }
    value = found->get<T>();
  }
  template <typename T>
  void Read(const char* key, std::optional<T>& value) {
    if (Find(key) == nullptr) return;
    T read{};
    Read(key, read);
    value = read;
  }
  void Read(const char* key, std::vector<std::string>& values) {
    const Json* const found = Find(key);
    if (found == nullptr) return;
    if (!found->is_array()) return Fail(key, "is no list");
    for (const Json& one : *found) {
      if (!one.is_string()) return Fail(key, "is no list of texts");
      values.push_back(one.get<std::string>());
    }
  }

  // To be called when all keys are read.
  void RefuseOthers() {
    if (!json_.is_object()) return;
    for (const auto& [key, value] : json_.items()) {
      if (std::find(known_.begin(), known_.end(), key) == known_.end()) return Fail(Printable(key), "unknown key");
    }
  }

 private:
  const Json& json_;
  std::string path_;
  std::vector<std::string_view> known_;
  Status status_;
};

// Calls `read` with the object of a key, if it is there.
void ReadObject(ObjectReader& reader, const char* key, const std::function<void(ObjectReader&)>& read) {
  const Json* const found = reader.Find(key);
  if (found == nullptr) return;
  ObjectReader inner(*found, reader.PathOf(key));
  read(inner);
  inner.RefuseOthers();
  if (!inner.status().ok()) reader.Fail("", Message(inner.status()));
}

void ReadCredentials(ObjectReader& reader, Credentials& credentials) {
  reader.Read("uid", credentials.uid);
  reader.Read("gid", credentials.gid);
  reader.Read("loginUid", credentials.login_uid);
  reader.Read("userName", credentials.user_name);
  reader.Read("groupName", credentials.group_name);
  reader.Read("loginName", credentials.login_name);
  reader.Read("home", credentials.home);
  reader.Read("shell", credentials.shell);
}

void ReadExecutable(ObjectReader& reader, Executable& executable) {
  reader.Read("path", executable.path);
  reader.Read("upperLayer", executable.upper_layer);
  reader.Read("lowerLayer", executable.lower_layer);
  reader.Read("writable", executable.writable);
  reader.Read("inMemory", executable.in_memory);
  reader.Read("inode", executable.inode);
  reader.Read("changedNs", executable.changed_ns);
  reader.Read("modifiedNs", executable.modified_ns);
}

void ReadLeader(ObjectReader& reader, const char* key, std::optional<SessionLeader>& leader) {
  ReadObject(reader, key, [&](ObjectReader& inner) {
    leader.emplace();
    inner.Read("name", leader->name);
    inner.Read("exe", leader->exe);
    inner.Read("exePath", leader->exe_path);
  });
}

void ReadProcess(ObjectReader& reader, std::deque<Process>& processes) {
  if (processes.size() > static_cast<std::size_t>(kMaxAncestors)) return reader.Fail("parent", "too many ancestors");
  Process& process = processes.emplace_back();
  reader.Read("pid", process.pid);
  reader.Read("vpid", process.vpid);
  reader.Read("sid", process.sid);
  reader.Read("pgid", process.pgid);
  reader.Read("vpgid", process.vpgid);
  reader.Read("name", process.name);
  reader.Read("exe", process.exe);
  ReadObject(reader, "executable", [&](ObjectReader& inner) { ReadExecutable(inner, process.executable); });
  reader.Read("arguments", process.arguments);
  reader.Read("environment", process.environment);
  reader.Read("cwd", process.cwd);
  reader.Read("tty", process.tty);
  reader.Read("startNs", process.start_ns);
  reader.Read("pidNamespaceStartNs", process.pid_namespace_start_ns);
  reader.Read("capEffective", process.cap_effective);
  reader.Read("capPermitted", process.cap_permitted);
  reader.Read("capInheritable", process.cap_inheritable);
  ReadObject(reader, "credentials", [&](ObjectReader& inner) { ReadCredentials(inner, process.credentials); });
  ReadLeader(reader, "sessionLeader", process.session_leader);
  ReadLeader(reader, "groupLeader", process.group_leader);
  ReadObject(reader, "parent", [&](ObjectReader& inner) {
    const std::size_t next = processes.size();
    ReadProcess(inner, processes);
    if (processes.size() > next) process.parent = &processes[next];
  });
  Describe(process);
}

void ReadMounts(ObjectReader& reader, std::optional<std::vector<Mount>>& mounts) {
  const Json* const found = reader.Find("mounts");
  if (found == nullptr) return;
  if (!found->is_array()) return reader.Fail("mounts", "is no list");
  mounts.emplace();
  for (std::size_t i = 0; i < found->size(); ++i) {
    ObjectReader inner((*found)[i], fmt::format("{}[{}]", reader.PathOf("mounts"), i));
    Mount& mount = mounts->emplace_back();
    inner.Read("source", mount.source);
    inner.Read("destination", mount.destination);
    inner.Read("mode", mount.mode);
    inner.Read("writable", mount.writable);
    inner.Read("propagation", mount.propagation);
    inner.RefuseOthers();
    if (!inner.status().ok()) return reader.Fail("", Message(inner.status()));
  }
}

void ReadContainer(ObjectReader& reader, Container& container) {
  reader.Read("id", container.id);
  reader.Read("fullId", container.full_id);
  reader.Read("name", container.name);
  reader.Read("type", container.type);
  reader.Read("image", container.image);
  reader.Read("imageId", container.image_id);
  reader.Read("imageRepository", container.image_repository);
  reader.Read("imageTag", container.image_tag);
  reader.Read("imageDigest", container.image_digest);
  reader.Read("ip", container.ip);
  reader.Read("privileged", container.privileged);
  reader.Read("startNs", container.start_ns);
  ReadMounts(reader, container.mounts);
  reader.Read("podName", container.pod_name);
  reader.Read("podUid", container.pod_uid);
  reader.Read("podNamespace", container.pod_namespace);
}

void ReadAddress(ObjectReader& reader, const char* key, Address& address) {
  std::string text;
  reader.Read(key, text);
  if (text.empty()) return;
  const auto parsed = Address::Parse(text);
  if (!parsed.ok()) return reader.Fail(key, "is no address");
  address = *parsed;
}

void ReadEnds(ObjectReader& reader, SocketEnds& ends) {
  ReadAddress(reader, "client", ends.client);
  ReadAddress(reader, "server", ends.server);
  reader.Read("clientPort", ends.client_port);
  reader.Read("serverPort", ends.server_port);
  reader.Read("localIsServer", ends.local_is_server);
  reader.Read("clientNames", ends.client_names);
  reader.Read("serverNames", ends.server_names);
}

void ReadDescriptor(ObjectReader& reader, Descriptor& descriptor) {
  std::string kind = "unknown";
  reader.Read("kind", kind);
  const auto* const at = std::find(kKindNames.begin(), kKindNames.end(), kind);
  if (at == kKindNames.end()) return reader.Fail("kind", "there is no such kind");
  descriptor.kind = static_cast<DescriptorKind>(at - kKindNames.begin());
  reader.Read("isOpen", descriptor.is_open);
  reader.Read("name", descriptor.name);
  reader.Read("rawName", descriptor.raw_name);
  reader.Read("protocol", descriptor.protocol);
  reader.Read("connected", descriptor.connected);
  reader.Read("upperLayer", descriptor.upper_layer);
  reader.Read("lowerLayer", descriptor.lower_layer);
  reader.Read("inode", descriptor.inode);
  ReadObject(reader, "ends", [&](ObjectReader& inner) { ReadEnds(inner, descriptor.ends.emplace()); });
  if (descriptor.name.empty() && descriptor.ends) descriptor.name = SocketName(descriptor);
}

void ReadArguments(ObjectReader& reader, RecordedEvent& record) {
  const Json* const found = reader.Find("arguments");
  if (found == nullptr) return;
  if (!found->is_array()) return reader.Fail("arguments", "is no list");
  for (const Json& one : *found) {
    if (!one.is_array() || one.size() != 2 || !one[0].is_string() || !one[1].is_string()) {
      return reader.Fail("arguments", "is no list of pairs of name and text");
    }
    record.argument_texts.emplace_back(one[0].get<std::string>(), one[1].get<std::string>());
  }
  for (const auto& [name, text] : record.argument_texts) record.arguments.push_back({.name = name, .text = text});
  record.event.arguments = record.arguments;
}

// Instead of "buffer": data that is no text.
void ReadHex(ObjectReader& reader, const char* key, std::string& bytes) {
  std::string text;
  reader.Read(key, text);
  if (text.empty()) return;
  if (!bytes.empty()) return reader.Fail(key, "there is \"buffer\" too");
  const auto digit = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (text.size() % 2 != 0) return reader.Fail(key, "is an odd number of digits");
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return reader.Fail(key, "is not made of the digits 0-9 and a-f");
    bytes.push_back(static_cast<char>(high * 16 + low));
  }
}

// "host", or an object.
void ReadContainerOf(ObjectReader& reader, RecordedEvent& record) {
  const Json* const found = reader.Find("container");
  if (found == nullptr) return;
  if (*found == "host") {
    record.event.container = &HostContainer();
    return;
  }
  ReadObject(reader, "container", [&](ObjectReader& inner) { ReadContainer(inner, record.container); });
  record.event.container = &record.container;
}

void ReadEvent(ObjectReader& reader, RecordedEvent& record) {
  Event& event = record.event;
  std::string type;
  reader.Read("type", type);
  const auto found = FindEventType(type);
  if (!found) return reader.Fail("type", fmt::format("there is no event type {}", PrintableWord(type)));
  event.type = *found;
  event.number = 1;
  reader.Read("number", event.number);
  if (event.number == 0) return reader.Fail("number", "events are counted from 1");
  reader.Read("timeNs", event.time_ns);
  reader.Read("result", event.result);
  reader.Read("thread", event.thread);
  reader.Read("cpu", event.cpu);
  ReadObject(reader, "process", [&](ObjectReader& inner) { ReadProcess(inner, record.processes); });
  if (!record.processes.empty()) event.process = &record.processes.front();
  ReadContainerOf(reader, record);
  ReadObject(reader, "descriptor", [&](ObjectReader& inner) {
    ReadDescriptor(inner, record.descriptor);
    event.descriptor = &record.descriptor;
  });
  reader.Read("descriptorNumber", event.descriptor_number);
  reader.Read("descriptorRenamed", event.descriptor_renamed);
  ReadArguments(reader, record);
  ReadObject(reader, "open", [&](ObjectReader& inner) {
    OpenMode& open = event.open.emplace();
    inner.Read("read", open.read);
    inner.Read("write", open.write);
    inner.Read("create", open.create);
    inner.Read("execute", open.execute);
  });
  reader.Read("buffer", record.buffer);
  ReadHex(reader, "bufferHex", record.buffer);
  reader.Read("host", record.host);
  event.buffer = record.buffer;
  event.host = record.host;
  reader.RefuseOthers();
}

}  // namespace

std::string_view NameOf(DescriptorKind kind) { return kKindNames[static_cast<std::size_t>(kind)]; }

StatusOr<std::unique_ptr<RecordedEvent>> ParseEventRecord(std::string_view line) {
  if (line.size() > kMaxEventRecordBytes) {
    return InvalidError("the record has {} bytes: at most {} are possible", line.size(), kMaxEventRecordBytes);
  }
  const Json json = Json::parse(line, nullptr, false);
  if (json.is_discarded()) return InvalidError("the record is no JSON");
  auto record = std::make_unique<RecordedEvent>();
  ObjectReader reader(json, "");
  if (reader.status().ok()) ReadEvent(reader, *record);
  SL_RETURN_IF_ERROR(reader.status());
  return record;
}

}  // namespace sluice::policy::rules
