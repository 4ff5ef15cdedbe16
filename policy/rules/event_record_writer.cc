#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/printable.h"
#include "policy/rules/event_record.h"
#include "policy/rules/field_groups.h"

namespace sluice::policy::rules {
namespace {

using RecordJson = nlohmann::json;

// What a record without the key means is left out.
void Put(RecordJson& json, const char* key, const std::string& value) {
  if (!value.empty()) json[key] = value;
}
void Put(RecordJson& json, const char* key, const std::vector<std::string>& values) {
  if (!values.empty()) json[key] = values;
}
template <typename T>
void PutNumber(RecordJson& json, const char* key, T value) {
  if (value != T{}) json[key] = value;
}
template <typename T>
void Put(RecordJson& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

RecordJson CredentialsJson(const Credentials& credentials) {
  RecordJson json = RecordJson::object();
  PutNumber(json, "uid", credentials.uid);
  PutNumber(json, "gid", credentials.gid);
  Put(json, "loginUid", credentials.login_uid);
  Put(json, "userName", credentials.user_name);
  Put(json, "groupName", credentials.group_name);
  Put(json, "loginName", credentials.login_name);
  Put(json, "home", credentials.home);
  Put(json, "shell", credentials.shell);
  return json;
}

RecordJson ExecutableJson(const Executable& executable) {
  RecordJson json = RecordJson::object();
  Put(json, "path", executable.path);
  PutNumber(json, "upperLayer", executable.upper_layer);
  PutNumber(json, "lowerLayer", executable.lower_layer);
  PutNumber(json, "writable", executable.writable);
  PutNumber(json, "inMemory", executable.in_memory);
  Put(json, "inode", executable.inode);
  Put(json, "changedNs", executable.changed_ns);
  Put(json, "modifiedNs", executable.modified_ns);
  return json;
}

void PutLeader(RecordJson& json, const char* key, const std::optional<SessionLeader>& leader) {
  if (!leader) return;
  RecordJson& out = json[key] = RecordJson::object();
  Put(out, "name", leader->name);
  Put(out, "exe", leader->exe);
  Put(out, "exePath", leader->exe_path);
}

RecordJson ProcessJson(const Process& process, int ancestors_left) {
  RecordJson json = {{"pid", process.pid}, {"sid", process.sid}, {"pgid", process.pgid}};
  Put(json, "vpid", process.vpid);
  Put(json, "vpgid", process.vpgid);
  Put(json, "name", process.name);
  Put(json, "exe", process.exe);
  json["executable"] = ExecutableJson(process.executable);
  Put(json, "arguments", process.arguments);
  Put(json, "environment", process.environment);
  Put(json, "cwd", process.cwd);
  PutNumber(json, "tty", process.tty);
  Put(json, "startNs", process.start_ns);
  Put(json, "pidNamespaceStartNs", process.pid_namespace_start_ns);
  PutNumber(json, "capEffective", process.cap_effective);
  PutNumber(json, "capPermitted", process.cap_permitted);
  PutNumber(json, "capInheritable", process.cap_inheritable);
  json["credentials"] = CredentialsJson(process.credentials);
  PutLeader(json, "sessionLeader", process.session_leader);
  PutLeader(json, "groupLeader", process.group_leader);
  if (process.parent != nullptr && ancestors_left > 0)
    json["parent"] = ProcessJson(*process.parent, ancestors_left - 1);
  return json;
}

RecordJson ContainerJson(const Container& container) {
  if (&container == &HostContainer()) return "host";
  RecordJson json = RecordJson::object();
  Put(json, "id", container.id);
  Put(json, "fullId", container.full_id);
  Put(json, "name", container.name);
  Put(json, "type", container.type);
  Put(json, "image", container.image);
  Put(json, "imageId", container.image_id);
  Put(json, "imageRepository", container.image_repository);
  Put(json, "imageTag", container.image_tag);
  Put(json, "imageDigest", container.image_digest);
  Put(json, "ip", container.ip);
  Put(json, "privileged", container.privileged);
  Put(json, "startNs", container.start_ns);
  Put(json, "podName", container.pod_name);
  Put(json, "podUid", container.pod_uid);
  Put(json, "podNamespace", container.pod_namespace);
  if (!container.mounts) return json;
  RecordJson& mounts = json["mounts"] = RecordJson::array();
  for (const Mount& mount : *container.mounts) {
    RecordJson one = RecordJson::object();
    Put(one, "source", mount.source);
    Put(one, "destination", mount.destination);
    Put(one, "mode", mount.mode);
    PutNumber(one, "writable", mount.writable);
    Put(one, "propagation", mount.propagation);
    mounts.push_back(std::move(one));
  }
  return json;
}

RecordJson EndsJson(const SocketEnds& ends, bool has_client) {
  RecordJson json = {{"server", ends.server.ToString()}, {"serverPort", ends.server_port}};
  if (has_client) {
    json["client"] = ends.client.ToString();
    json["clientPort"] = ends.client_port;
  }
  PutNumber(json, "localIsServer", ends.local_is_server);
  Put(json, "clientNames", ends.client_names);
  Put(json, "serverNames", ends.server_names);
  return json;
}

RecordJson DescriptorJson(const Descriptor& descriptor) {
  RecordJson json = {{"kind", std::string(NameOf(descriptor.kind))}};
  if (!descriptor.is_open) json["isOpen"] = false;
  Put(json, "name", descriptor.name);
  Put(json, "rawName", descriptor.raw_name);
  Put(json, "protocol", descriptor.protocol);
  PutNumber(json, "connected", descriptor.connected);
  PutNumber(json, "upperLayer", descriptor.upper_layer);
  PutNumber(json, "lowerLayer", descriptor.lower_layer);
  Put(json, "inode", descriptor.inode);
  const bool listens =
      descriptor.kind == DescriptorKind::kIpv4Listener || descriptor.kind == DescriptorKind::kIpv6Listener;
  if (descriptor.ends) json["ends"] = EndsJson(*descriptor.ends, !listens);
  return json;
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void PutBuffer(RecordJson& json, std::string_view buffer) {
  if (buffer.empty()) return;
  if (IsUtf8(buffer)) {
    json["buffer"] = buffer;
    return;
  }
  std::string hex;
  for (const char byte : buffer) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  json["bufferHex"] = std::move(hex);
}

}  // namespace

std::string EventRecord(const Event& event) {
  RecordJson json = {{"type", std::string(NameOf(event.type))}, {"number", event.number}, {"timeNs", event.time_ns}};
  Put(json, "result", event.result);
  Put(json, "thread", event.thread);
  Put(json, "cpu", event.cpu);
  if (event.process != nullptr) json["process"] = ProcessJson(*event.process, kMaxAncestors);
  if (event.container != nullptr) json["container"] = ContainerJson(*event.container);
  if (event.descriptor != nullptr) json["descriptor"] = DescriptorJson(*event.descriptor);
  Put(json, "descriptorNumber", event.descriptor_number);
  PutNumber(json, "descriptorRenamed", event.descriptor_renamed);
  for (const Argument& argument : event.arguments) {
    json["arguments"].push_back(RecordJson::array({std::string(argument.name), std::string(argument.text)}));
  }
  if (event.open) {
    json["open"] = {{"read", event.open->read},
                    {"write", event.open->write},
                    {"create", event.open->create},
                    {"execute", event.open->execute}};
  }
  PutBuffer(json, event.buffer);
  if (!event.host.empty()) json["host"] = event.host;
  return json.dump(-1, ' ', false, RecordJson::error_handler_t::replace);
}

}  // namespace sluice::policy::rules
