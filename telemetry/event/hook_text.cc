#include "telemetry/event/hook_text.h"

#include <fmt/format.h>

#include <vector>

#include "base/printable.h"
#include "telemetry/event/flow_text.h"
#include "telemetry/event/process_text.h"

namespace sluice::telemetry {
namespace {

// Characters of a text that a line shows.
constexpr std::size_t kTextShown = 256;

std::string ShortWord(const std::string& text, bool truncated) {
  const bool is_long = text.size() > kTextShown;
  return PrintableWord(is_long ? text.substr(0, kTextShown) : text) + (is_long || truncated ? "..." : "");
}

std::string HostPortText(const std::string& address, bool has_port, std::uint32_t port) {
  std::string host = address.empty() ? "*" : address;
  if (!has_port) return host;
  return fmt::format("{}{}{}:{}", host.find(':') != std::string::npos ? "[" : "", host,
                     host.find(':') != std::string::npos ? "]" : "", port);
}

// "TCP" for "IPPROTO_TCP".
std::string_view WithoutPrefix(std::string_view name, std::string_view prefix) {
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

std::string SocketText(const v1::HookSocket& socket) {
  if (!socket.has_source_port()) return socket.family();
  return fmt::format("{}->{} {}", HostPortText(socket.source(), true, socket.source_port()),
                     HostPortText(socket.destination(), true, socket.destination_port()),
                     WithoutPrefix(socket.protocol(), "IPPROTO_"));
}

std::string AddressText(const v1::HookAddress& address) {
  if (!address.path().empty()) return PrintableWord(address.path());
  if (address.address().empty() && !address.has_port()) return address.family();
  return HostPortText(address.address(), address.has_port(), address.port());
}

std::string CapabilitiesText(const v1::HookCapabilities& capabilities) {
  return capabilities.names_size() == 0 ? "none" : fmt::format("{}", fmt::join(capabilities.names(), "+"));
}

std::string CredentialsText(const v1::HookCredentials& cred) {
  return fmt::format("uid={} euid={} gid={} egid={} effective={}", cred.uid(), cred.effective_uid(), cred.gid(),
                     cred.effective_gid(), cred.effective().mask());
}

std::string ObjectText(const v1::HookObject& object) {
  std::vector<std::string> facts;
  if (!object.kind().empty()) facts.push_back(object.kind());
  if (!object.name().empty()) facts.push_back(PrintableWord(object.name()));
  if (object.has_namespace_()) facts.push_back(fmt::format("user:[{}]", object.namespace_()));
  return fmt::format("{}", fmt::join(facts, " "));
}

std::string ArgumentListText(const google::protobuf::RepeatedPtrField<v1::HookArgument>& arguments) {
  std::string text;
  for (const v1::HookArgument& argument : arguments) {
    text += (text.empty() ? "" : ", ") + (argument.label().empty() ? "" : argument.label() + "=") +
            HookArgumentText(argument);
  }
  return text;
}

std::string FunctionText(const v1::Hook& hook) {
  return hook.group().empty() ? hook.function() : hook.group() + "/" + hook.function();
}

// " -> SIGNAL SIGKILL, OVERRIDE EPERM"; empty: nothing was done but to send the event.
std::string ActionsText(const v1::Hook& hook) {
  std::vector<std::string> texts;
  for (const auto* actions : {&hook.actions(), &hook.return_actions()}) {
    for (const int number : *actions) {
      const auto action = static_cast<v1::Hook::Action>(number);
      if (action == v1::Hook::POST) continue;
      std::string text = v1::Hook::Action_Name(action);
      if (action == v1::Hook::SIGNAL && !hook.signal().empty()) text += " " + hook.signal();
      if (action == v1::Hook::OVERRIDE && !hook.error().empty()) text += " " + hook.error();
      texts.push_back(std::move(text));
    }
  }
  if (texts.empty()) return "";
  return fmt::format(" -> {}{}", hook.monitor() ? "would " : "", fmt::join(texts, ", "));
}

}  // namespace

std::string HookArgumentText(const v1::HookArgument& argument) {
  switch (argument.value_case()) {
    case v1::HookArgument::kInt32Value:
      return argument.name().empty() ? std::to_string(argument.int32_value()) : argument.name();
    case v1::HookArgument::kUint32Value:
      return argument.name().empty() ? std::to_string(argument.uint32_value()) : argument.name();
    case v1::HookArgument::kInt64Value:
      return std::to_string(argument.int64_value());
    case v1::HookArgument::kUint64Value:
      return argument.name().empty() ? std::to_string(argument.uint64_value()) : argument.name();
    case v1::HookArgument::kText:
      return ShortWord(argument.text(), argument.truncated());
    case v1::HookArgument::kBytesValue:
      return ShortWord(argument.bytes_value(), argument.truncated());
    case v1::HookArgument::kFile:
      return (argument.truncated() ? "..." : "") + PrintableWord(argument.file().path());
    case v1::HookArgument::kSocket:
      return SocketText(argument.socket());
    case v1::HookArgument::kAddress:
      return AddressText(argument.address());
    case v1::HookArgument::kCredentials:
      return CredentialsText(argument.credentials());
    case v1::HookArgument::kCapabilities:
      return CapabilitiesText(argument.capabilities());
    case v1::HookArgument::kObject:
      return ObjectText(argument.object());
    case v1::HookArgument::VALUE_NOT_SET:
      break;
  }
  return "?";
}

std::string HookText(const v1::Hook& hook) {
  const std::string workload = hook.workload().empty() ? "-" : hook.namespace_() + "/" + hook.workload();
  std::string text = fmt::format("{:<6} {} {} {}: {}({}", "HOOK", workload, hook.process().pid(),
                                 CommandText(hook.process()), FunctionText(hook), ArgumentListText(hook.arguments()));
  if (hook.data_size() != 0)
    text += fmt::format("{}{}", hook.arguments_size() == 0 ? "" : "; ", ArgumentListText(hook.data()));
  text += hook.part() == v1::Hook::RETURN ? "...)" : ")";
  if (hook.has_return_value()) text += " = " + HookArgumentText(hook.return_value());
  text += ActionsText(hook);
  if (!hook.message().empty()) text += fmt::format(": {}", hook.message());
  return fmt::format("{} [{}]", text, PolicyName(hook.policy()));
}

}  // namespace sluice::telemetry
