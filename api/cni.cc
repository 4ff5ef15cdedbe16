#include "api/cni.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

namespace sluice::cni {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxText = 4096;  // of one string
constexpr std::size_t kMaxContainerId = 200;
constexpr std::size_t kMaxInterfaceName = 15;
constexpr std::size_t kMaxAddresses = 64;

constexpr struct {
  Command command;
  std::string_view name;
} kCommands[] = {{Command::kAdd, "ADD"},
                 {Command::kDel, "DEL"},
                 {Command::kCheck, "CHECK"},
                 {Command::kGc, "GC"},
                 {Command::kStatus, "STATUS"}};

bool IsAlphanumeric(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Reads members of an object; the first that is not of its type is the error.
class Members {
 public:
  explicit Members(const json& object) : object_(object) {}

  std::string Text(const char* key) {
    const json* value = Find(key);
    if (value == nullptr) return "";
    if (!value->is_string() || value->get_ref<const std::string&>().size() > kMaxText) {
      Fail(key, "a text of at most 4096 bytes");
      return "";
    }
    return value->get<std::string>();
  }
  std::int64_t Number(const char* key, std::int64_t low, std::int64_t high) {
    const json* value = Find(key);
    if (value == nullptr) return 0;
    if (value->is_number_integer() && (!value->is_number_unsigned() || value->get<std::uint64_t>() <= INT64_MAX)) {
      const auto number = value->get<std::int64_t>();
      if (number >= low && number <= high) return number;
    }
    Fail(key, fmt::format("a whole number from {} to {}", low, high));
    return 0;
  }
  const json* List(const char* key) {
    const json* value = Find(key);
    if (value != nullptr && !value->is_array()) Fail(key, "a list");
    return value != nullptr && value->is_array() ? value : nullptr;
  }
  void Fail(const std::string& key, const std::string& expected) {
    if (status_.ok()) status_ = InvalidError("{}: {} is expected", key, expected);
  }
  const Status& status() const { return status_; }

 private:
  const json* Find(const char* key) const {
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  const json& object_;
  Status status_;
};

StatusOr<json> ParseObject(std::string_view text) {
  json object = json::parse(text, nullptr, false);
  if (!object.is_object()) return InvalidError("{} bytes that are no JSON object", text.size());
  const auto protocol = object.find("protocol");
  if (protocol == object.end() || !protocol->is_number_integer()) {
    return InvalidError("protocol: a whole number is expected");
  }
  if (*protocol != kProtocol) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "version {} of the protocol between plugin and agent, where {} is spoken here: let "
                     "`sluice-cni install` and the agent be of one version",
                     protocol->dump(), kProtocol);
  }
  return object;
}

void ReadAttachment(Members& members, Attachment& attachment, bool required) {
  attachment.container_id = members.Text("containerID");
  attachment.ifname = members.Text("ifname");
  if (!required) return;
  if (!IsContainerId(attachment.container_id)) members.Fail("containerID", "an id as CNI has them");
  if (!IsInterfaceName(attachment.ifname)) members.Fail("ifname", "an interface's name");
}

// Negative: it has passed.
int MillisecondsUntil(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Deadline::clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, -1, 3'600'000));
}

Status WaitFor(int socket, short what, Deadline deadline) {
  while (true) {
    const int left = MillisecondsUntil(deadline);
    if (left <= 0) return absl::DeadlineExceededError("no answer in time");
    pollfd polled{socket, what, 0};
    const int ready = poll(&polled, 1, left);
    if (ready > 0) return OkStatus();
    if (ready < 0 && errno != EINTR) return ErrnoError(errno, "poll");
  }
}

bool IsRetry(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

std::string_view CommandName(Command command) {
  for (const auto& one : kCommands) {
    if (one.command == command) return one.name;
  }
  return "?";
}

bool IsContainerId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxContainerId && IsAlphanumeric(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '_' || c == '.' || c == '-'; });
}

bool IsInterfaceName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxInterfaceName && text != "." && text != ".." &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) > ' ' && c != '/' && c != ':' && c != 0x7f; });
}

std::string ToJson(const Request& request) {
  json object = {{"protocol", kProtocol}, {"command", CommandName(request.command)}};
  const auto put = [&](const char* key, const std::string& value) {
    if (!value.empty()) object[key] = value;
  };
  put("network", request.network);
  put("containerID", request.attachment.container_id);
  put("ifname", request.attachment.ifname);
  put("netns", request.netns);
  put("podNamespace", request.pod_namespace);
  put("podName", request.pod_name);
  put("podUID", request.pod_uid);
  put("sandboxID", request.sandbox_id);
  put("hostInterface", request.host_interface);
  if (request.host_ifindex != 0) object["hostIfindex"] = request.host_ifindex;
  if (request.timeout_ms != 0) object["timeoutMs"] = request.timeout_ms;
  if (!request.addresses.empty()) object["addresses"] = request.addresses;
  if (request.command == Command::kGc) {
    object["valid"] = json::array();
    for (const Attachment& one : request.valid) {
      object["valid"].push_back({{"containerID", one.container_id}, {"ifname", one.ifname}});
    }
  }
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string ToJson(const Answer& answer) {
  json object = {{"protocol", kProtocol}, {"code", answer.code}};
  if (!answer.message.empty()) object["message"] = answer.message;
  if (!answer.details.empty()) object["details"] = answer.details;
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

StatusOr<Request> ParseRequest(std::string_view text) {
  SL_ASSIGN_OR_RETURN(const json object, ParseObject(text));
  Members members(object);
  Request request;
  const std::string command = members.Text("command");
  const auto* const known =
      std::find_if(std::begin(kCommands), std::end(kCommands), [&](const auto& one) { return one.name == command; });
  if (known == std::end(kCommands)) {
    members.Fail("command", "ADD, DEL, CHECK, GC or STATUS");
    return members.status();
  }
  request.command = known->command;
  const bool is_of_one = request.command != Command::kGc && request.command != Command::kStatus;
  ReadAttachment(members, request.attachment, is_of_one);
  request.network = members.Text("network");
  request.netns = members.Text("netns");
  request.pod_namespace = members.Text("podNamespace");
  request.pod_name = members.Text("podName");
  request.pod_uid = members.Text("podUID");
  request.sandbox_id = members.Text("sandboxID");
  request.host_interface = members.Text("hostInterface");
  request.host_ifindex = static_cast<std::uint32_t>(members.Number("hostIfindex", 0, INT32_MAX));
  request.timeout_ms = static_cast<std::uint32_t>(members.Number("timeoutMs", 0, 3'600'000));
  if (request.command == Command::kAdd) {
    if (request.netns.empty() || request.netns.front() != '/') members.Fail("netns", "an absolute path");
    if (request.pod_namespace.empty()) members.Fail("podNamespace", "a name");
    if (request.pod_name.empty()) members.Fail("podName", "a name");
  }
  if (const json* addresses = members.List("addresses")) {
    if (addresses->size() > kMaxAddresses) members.Fail("addresses", "a list of at most 64");
    for (const json& one : *addresses) {
      if (!one.is_string() || request.addresses.size() >= kMaxAddresses) {
        members.Fail("addresses", "a list of texts");
        break;
      }
      request.addresses.push_back(one.get<std::string>());
    }
  }
  const json* const valid = members.List("valid");
  if (valid == nullptr && request.command == Command::kGc) members.Fail("valid", "a list");
  for (std::size_t i = 0; valid != nullptr && i < valid->size() && members.status().ok(); ++i) {
    const json& one = (*valid)[i];
    if (!one.is_object()) {
      members.Fail(fmt::format("valid[{}]", i), "an object");
      break;
    }
    Members inner(one);
    ReadAttachment(inner, request.valid.emplace_back(), true);
    if (!inner.status().ok()) return Annotate(inner.status(), fmt::format("valid[{}]", i));
  }
  if (!members.status().ok()) return members.status();
  return request;
}

StatusOr<Answer> ParseAnswer(std::string_view text) {
  SL_ASSIGN_OR_RETURN(const json object, ParseObject(text));
  Members members(object);
  Answer answer;
  if (!object.contains("code")) members.Fail("code", "a whole number");
  answer.code = static_cast<int>(members.Number("code", 0, INT32_MAX));
  answer.message = members.Text("message");
  answer.details = members.Text("details");
  if (!members.status().ok()) return members.status();
  return answer;
}

std::string FileName(const Attachment& attachment) { return attachment.container_id + "@" + attachment.ifname; }

StatusOr<Attachment> ParseFileName(std::string_view name) {
  const std::size_t at = name.find('@');
  if (at != std::string_view::npos) {
    Attachment attachment{std::string(name.substr(0, at)), std::string(name.substr(at + 1))};
    if (IsContainerId(attachment.container_id) && IsInterfaceName(attachment.ifname)) return attachment;
  }
  return InvalidError("{}: no container's id and interface", name);
}

Status SendMessage(int socket, std::string_view message, Deadline deadline) {
  while (!message.empty()) {
    SL_RETURN_IF_ERROR(WaitFor(socket, POLLOUT, deadline));
    const ssize_t sent = send(socket, message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && (errno == EPIPE || errno == ECONNRESET)) return absl::UnavailableError("the other side has gone");
    if (sent < 0 && !IsRetry(errno)) return ErrnoError(errno, "send");
    if (sent > 0) message.remove_prefix(static_cast<std::size_t>(sent));
  }
  if (shutdown(socket, SHUT_WR) != 0 && errno != ENOTCONN) return ErrnoError(errno, "shutdown");
  return OkStatus();
}

StatusOr<std::string> ReceiveMessage(int socket, Deadline deadline) {
  std::string message;
  char part[16384];
  while (true) {
    SL_RETURN_IF_ERROR(WaitFor(socket, POLLIN, deadline));
    const ssize_t size = recv(socket, part, sizeof(part), MSG_DONTWAIT);
    // It may answer before it has read everything; what it did not read is then reported as a reset.
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return message;
    if (size < 0 && !IsRetry(errno)) return ErrnoError(errno, "receive");
    if (size > 0) message.append(part, static_cast<std::size_t>(size));
    if (message.size() > kMaxMessage) {
      return MakeError(absl::StatusCode::kResourceExhausted, "a message of more than {} bytes", kMaxMessage);
    }
  }
}

}  // namespace sluice::cni
