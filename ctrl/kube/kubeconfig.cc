// The YAML of a kubeconfig file -> ApiConfig.
#include <absl/strings/escaping.h>

#include <filesystem>
#include <functional>

#include "ctrl/kube/config.h"
#include "policy/resource/resource_field.h"
#include "policy/resource/resource_scalar.h"

namespace sluice::kube {
namespace {

using policy::Field;
using policy::YamlNode;

// Like Field::String, but errors do not show the value.
StatusOr<std::string> SecretString(const Field& field) {
  const YamlNode& node = field.node();
  if (node.type != YamlNode::Type::kScalar || policy::TypeOf(node) != policy::ScalarType::kString) {
    return field.Error("must be a string: quote it");
  }
  return node.scalar;
}

StatusOr<std::string> Base64Pem(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string encoded, SecretString(field));
  std::string text;
  if (!absl::Base64Unescape(encoded, &text)) return field.Error("is not base64");
  if (text.find("-----BEGIN ") == std::string::npos) return field.Error("holds no PEM");
  return text;
}

StatusOr<std::string> PlainString(const Field& field) { return field.String(); }

// An http or https URL with a host, and nothing that libcurl could take for something else.
StatusOr<std::string> Url(const Field& field, std::initializer_list<std::string_view> schemes, bool may_have_user) {
  SL_ASSIGN_OR_RETURN(std::string url, SecretString(field));
  for (const std::string_view scheme : schemes) {
    if (!url.starts_with(scheme)) continue;
    const std::string_view rest = std::string_view(url).substr(scheme.size());
    if (rest.empty() || rest.front() == '/' || rest.find_first_of("?#\\ \t\r\n") != std::string_view::npos) break;
    if (!may_have_user && rest.find('@') != std::string_view::npos) break;
    while (url.ends_with('/')) url.pop_back();
    return url;
  }
  return field.Error(fmt::format("must be a URL that begins with {}", fmt::join(schemes, " or ")));
}

StatusOr<std::string> ServerUrl(const Field& field) { return Url(field, {"https://", "http://"}, false); }
StatusOr<std::string> ProxyUrl(const Field& field) { return Url(field, {"http://", "https://", "socks5://"}, true); }

// `file_key` is a path, `data_key` base64 of the same. As in client-go, data wins.
Status ReadFileOrData(const Field& map, const std::string& base, std::string_view file_key, FileOrText& out) {
  const std::string data_key = fmt::format("{}-data", file_key);
  SL_RETURN_IF_ERROR(map.Read(data_key, out.text, Base64Pem));
  if (!out.text.empty()) return OkStatus();
  SL_RETURN_IF_ERROR(map.Read(file_key, out.file, PlainString));
  if (!out.file.empty()) out.file = (std::filesystem::path(base) / out.file).string();
  return OkStatus();
}

// The item of the list `list_key` whose name is `name`, and of it the map `item_key`.
StatusOr<Field> FindNamed(const Field& root, std::string_view list_key, std::string_view item_key,
                          const std::string& name) {
  const auto list = root.Get(list_key);
  if (!list) return root.Missing(list_key);
  std::optional<Field> found;
  SL_RETURN_IF_ERROR(list->ForEachItem([&](const Field& item) -> Status {
    SL_RETURN_IF_ERROR(item.CheckMap());
    std::string item_name;
    SL_RETURN_IF_ERROR(item.Read("name", item_name, PlainString));
    if (found || item_name != name) return OkStatus();
    found = item.Get(item_key);
    if (!found) return item.Missing(item_key);
    return found->CheckMap();
  }));
  if (!found) return list->Error(fmt::format("has no {} with the name {}", item_key, policy::Quoted(name)));
  return *found;
}

Status ReadCluster(const Field& cluster, const std::string& base, ApiConfig& config) {
  SL_RETURN_IF_ERROR(cluster.Read("server", config.server, ServerUrl));
  if (config.server.empty()) return cluster.Missing("server");
  SL_RETURN_IF_ERROR(ReadFileOrData(cluster, base, "certificate-authority", config.ca));
  SL_RETURN_IF_ERROR(cluster.Read("insecure-skip-tls-verify", config.insecure_skip_tls_verify,
                                  [](const Field& field) { return field.Bool(); }));
  if (config.insecure_skip_tls_verify && !config.ca.empty()) {
    return cluster.Get("insecure-skip-tls-verify")->Error("cannot be true beside a certificate authority");
  }
  SL_RETURN_IF_ERROR(cluster.Read("tls-server-name", config.tls_server_name, PlainString));
  return cluster.Read("proxy-url", config.proxy_url, ProxyUrl);
}

Status RefusePlugins(const Field& user) {
  if (const auto exec = user.Get("exec")) {
    std::string command;
    if (exec->IsMap()) exec->Read("command", command, PlainString).IgnoreError();
    const Status error = exec->Error(fmt::format(
        "the credential plugin {} is not run: give a token, tokenFile or client certificate", policy::Quoted(command)));
    return Status(absl::StatusCode::kUnimplemented, error.message());
  }
  if (const auto provider = user.Get("auth-provider")) {
    std::string name;
    if (provider->IsMap()) provider->Read("name", name, PlainString).IgnoreError();
    const Status error = provider->Error(fmt::format(
        "the auth provider {} is not supported: give a token, tokenFile or client certificate", policy::Quoted(name)));
    return Status(absl::StatusCode::kUnimplemented, error.message());
  }
  return OkStatus();
}

Status ReadUser(const Field& user, const std::string& base, ApiConfig& config) {
  SL_RETURN_IF_ERROR(RefusePlugins(user));
  SL_RETURN_IF_ERROR(user.Read("token", config.token.text, SecretString));
  // As in client-go, the file wins: it can rotate.
  SL_RETURN_IF_ERROR(user.Read("tokenFile", config.token.file, PlainString));
  if (!config.token.file.empty()) config.token.file = (std::filesystem::path(base) / config.token.file).string();
  SL_RETURN_IF_ERROR(ReadFileOrData(user, base, "client-certificate", config.client_certificate));
  SL_RETURN_IF_ERROR(ReadFileOrData(user, base, "client-key", config.client_key));
  if (config.client_certificate.empty() != config.client_key.empty()) {
    return user.Error("needs both client-certificate and client-key, or neither");
  }
  SL_RETURN_IF_ERROR(user.Read("username", config.username, SecretString));
  SL_RETURN_IF_ERROR(user.Read("password", config.password, SecretString));
  if (!config.username.empty() && !config.token.empty()) return user.Error("has a token and a username: give one");
  return OkStatus();
}

StatusOr<ApiConfig> ReadRoot(const Field& root, const std::string& base) {
  SL_RETURN_IF_ERROR(root.CheckMap());
  std::string context_name;
  SL_RETURN_IF_ERROR(root.Read("current-context", context_name, PlainString));
  if (context_name.empty()) return root.Missing("current-context");
  SL_ASSIGN_OR_RETURN(const Field context, FindNamed(root, "contexts", "context", context_name));
  std::string cluster_name;
  std::string user_name;
  ApiConfig config;
  SL_RETURN_IF_ERROR(context.Read("cluster", cluster_name, PlainString));
  SL_RETURN_IF_ERROR(context.Read("user", user_name, PlainString));
  SL_RETURN_IF_ERROR(context.Read("namespace", config.ns, PlainString));
  if (cluster_name.empty()) return context.Missing("cluster");
  SL_ASSIGN_OR_RETURN(const Field cluster, FindNamed(root, "clusters", "cluster", cluster_name));
  SL_RETURN_IF_ERROR(ReadCluster(cluster, base, config));
  if (user_name.empty()) return config;
  SL_ASSIGN_OR_RETURN(const Field user, FindNamed(root, "users", "user", user_name));
  SL_RETURN_IF_ERROR(ReadUser(user, base, config));
  return config;
}

}  // namespace

StatusOr<ApiConfig> ReadKubeconfig(const std::string& file) {
  SL_ASSIGN_OR_RETURN(const std::string text, ReadSmallFile(file));
  const std::string base = std::filesystem::path(file).parent_path().string();
  const policy::Document document{.origin = file};
  StatusOr<ApiConfig> config = InvalidError("{}: holds no kubeconfig", file);
  int documents = 0;
  const auto error = policy::ParseYaml(text, [&](const YamlNode& root, int) {
    if (++documents == 1) config = ReadRoot(Field(document, root), base);
  });
  if (error) return InvalidError("{}:{}: {}", file, error->place.line, error->what);
  if (documents > 1) return InvalidError("{}: holds {} documents: a kubeconfig is one", file, documents);
  return config;
}

}  // namespace sluice::kube
