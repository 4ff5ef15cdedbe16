#include "ctrl/kube/config.h"

#include <absl/strings/escaping.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "ctrl/kube/credentials.h"

namespace sluice::kube {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class KubeConfig : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() /
                 fmt::format("sluice-kubeconfig-{}-{}", ::getpid(),
                             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
    ::setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    ::setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_ / name) << text;
    return directory_ / name;
  }
  // A kubeconfig whose cluster and user have these fields, each line with its indentation.
  StatusOr<ApiConfig> Read(const std::string& cluster, const std::string& user) const {
    return ReadKubeconfig(Write("config", fmt::format(R"(apiVersion: v1
kind: Config
current-context: main
contexts:
- name: other
  context: {{cluster: nowhere, user: nobody}}
- name: main
  context: {{cluster: c1, user: u1, namespace: shop}}
clusters:
- name: c1
  cluster:
{}
users:
- name: u1
  user:
{}
)",
                                                      cluster, user)));
  }
  std::string Error(const std::string& cluster, const std::string& user) const {
    const auto config = Read(cluster, user);
    EXPECT_FALSE(config.ok());
    return Message(config.status());
  }

  std::filesystem::path directory_;
};

constexpr char kServer[] = "    server: https://10.0.0.1:6443";
constexpr char kToken[] = "    token: abc.def";
constexpr char kPem[] = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

TEST_F(KubeConfig, InCluster) {
  Write("token", "secret\n");
  Write("ca.crt", kPem);
  Write("namespace", "sluice-system\n");
  const auto config = InClusterConfig(directory_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
  EXPECT_EQ(config->ns, "sluice-system");
  Credentials credentials(*config, {});
  credentials.Refresh(TimePoint());
  EXPECT_EQ(credentials.values().token, "secret");
  EXPECT_EQ(credentials.values().ca, kPem);
}

TEST_F(KubeConfig, InClusterWithAnIpv6Address) {
  Write("token", "secret");
  Write("ca.crt", kPem);
  ::setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
  const auto config = InClusterConfig(directory_);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->ns, "");
}

TEST_F(KubeConfig, InClusterErrors) {
  EXPECT_THAT(Message(InClusterConfig(directory_).status()), HasSubstr((directory_ / "token").string()));
  ::setenv("KUBERNETES_SERVICE_PORT", "70000", 1);
  EXPECT_THAT(Message(InClusterConfig(directory_).status()), HasSubstr("\"70000\" is no port"));
  ::unsetenv("KUBERNETES_SERVICE_HOST");
  EXPECT_EQ(InClusterConfig(directory_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(KubeConfig, TheCurrentContextsClusterAndUser) {
  const auto config = Read(
      "    server: https://10.0.0.1:6443/k8s/\n    tls-server-name: api.example\n"
      "    proxy-url: socks5://user:pw@10.0.0.9:1080",
      "    token: abc.def");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "https://10.0.0.1:6443/k8s");
  EXPECT_EQ(config->tls_server_name, "api.example");
  EXPECT_EQ(config->proxy_url, "socks5://user:pw@10.0.0.9:1080");
  EXPECT_EQ(config->token.text, "abc.def");
  EXPECT_EQ(config->ns, "shop");
  EXPECT_TRUE(config->ca.empty());
}

TEST_F(KubeConfig, DataIsDecodedAndPathsAreRelativeToTheFile) {
  const std::string data = absl::Base64Escape(kPem);
  auto config =
      Read(fmt::format("{}\n    certificate-authority: ca.pem\n    certificate-authority-data: {}", kServer, data),
           "    client-certificate: certs/me.pem\n    client-key: /etc/me.key");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->ca.text, kPem);
  EXPECT_EQ(config->ca.file, "");
  EXPECT_EQ(config->client_certificate.file, (directory_ / "certs/me.pem").string());
  EXPECT_EQ(config->client_key.file, "/etc/me.key");
  config = Read(kServer, fmt::format("    client-certificate-data: {0}\n    client-key-data: {0}", data));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->client_key.text, kPem);
}

TEST_F(KubeConfig, TokenFilesAndPasswords) {
  auto config =
      Read(fmt::format("{}\n    insecure-skip-tls-verify: true", kServer), "    tokenFile: token\n    token: old");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->insecure_skip_tls_verify);
  EXPECT_EQ(config->token.file, (directory_ / "token").string());
  config = Read(kServer, "    username: me\n    password: pw");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->username, "me");
  EXPECT_EQ(config->password, "pw");
}

TEST_F(KubeConfig, AContextWithoutUserAndAsJson) {
  const auto config = ReadKubeconfig(Write("config", R"({"current-context":"a",
    "contexts":[{"name":"a","context":{"cluster":"c"}}],
    "clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:8001"}}]})"));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->server, "http://127.0.0.1:8001");
}

TEST_F(KubeConfig, PluginsAreRefusedByName) {
  const auto exec = Read(kServer, "    exec:\n      command: aws\n      args: [eks, get-token]");
  EXPECT_EQ(exec.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(Message(exec.status()), HasSubstr("users[0].user.exec: the credential plugin \"aws\" is not run"));
  const auto provider = Read(kServer, "    auth-provider: {name: gcp}");
  EXPECT_EQ(provider.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(Message(provider.status()), HasSubstr("users[0].user.auth-provider: the auth provider \"gcp\""));
}

TEST_F(KubeConfig, ErrorsNameFileLineAndField) {
  EXPECT_THAT(Error("    certificate-authority: x", kToken), HasSubstr("clusters[0].cluster.server: missing"));
  EXPECT_THAT(Error("    server: 10.0.0.1", kToken),
              StartsWith((directory_ / "config:12").string() + ": clusters[0].cluster.server: must be a URL"));
  for (const char* server : {"https://", "https:///x", "https://user:pw@host", "https://host/?a", "ftp://host"}) {
    EXPECT_THAT(Error(fmt::format("    server: {}", server), kToken), HasSubstr("must be a URL")) << server;
  }
  EXPECT_THAT(Error(fmt::format("{}\n    certificate-authority-data: '%%%'", kServer), kToken),
              HasSubstr("clusters[0].cluster.certificate-authority-data: is not base64"));
  EXPECT_THAT(Error(fmt::format("{}\n    certificate-authority-data: AAAA", kServer), kToken), HasSubstr("no PEM"));
  EXPECT_THAT(
      Error(fmt::format("{}\n    insecure-skip-tls-verify: true\n    certificate-authority: x", kServer), kToken),
      HasSubstr("cannot be true beside a certificate authority"));
  EXPECT_THAT(Error(kServer, "    client-certificate: a"), HasSubstr("users[0].user: needs both"));
  EXPECT_THAT(Error(kServer, "    token: a\n    username: b"), HasSubstr("a token and a username"));
  const auto read = [&](const std::string& text) { return Message(ReadKubeconfig(Write("config", text)).status()); };
  EXPECT_THAT(read("{}"), HasSubstr("current-context: missing"));
  EXPECT_THAT(read("current-context: a\ncontexts: []\n"), HasSubstr("contexts: has no context with the name \"a\""));
  EXPECT_THAT(read("current-context: a\n"), HasSubstr("contexts: missing"));
  EXPECT_THAT(read("current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\nclusters: []\n"),
              HasSubstr("clusters: has no cluster with the name \"c\""));
  EXPECT_THAT(read(""), HasSubstr("holds no kubeconfig"));
  EXPECT_THAT(read("a: [\n"), HasSubstr("config:"));
  EXPECT_THAT(read("{}\n---\n{}\n"), HasSubstr("2 documents"));
  EXPECT_THAT(Message(ReadKubeconfig(directory_ / "none").status()),
              HasSubstr("open " + (directory_ / "none").string()));
}

TEST_F(KubeConfig, ErrorsShowNoSecret) {
  for (const char* user : {"    token: 1234567", "    password: [s3cret]\n    username: x", "    token: {s3cret: 1}",
                           "    client-key-data: s3cret!", "    password: 1.5e3", "    token: yes"}) {
    const std::string error = Error(kServer, user);
    EXPECT_THAT(error, HasSubstr("users[0].user.")) << user;
    for (const char* secret : {"1234567", "s3cret", "1.5e3", "yes"}) EXPECT_THAT(error, Not(HasSubstr(secret)));
  }
}

}  // namespace
}  // namespace sluice::kube
