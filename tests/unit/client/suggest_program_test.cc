// The real `sluice suggest`: from files alone, and as the agent answers.
#include <gmock/gmock.h>

#include <fstream>

#include "api/web.grpc.pb.h"
#include "testbed/command.h"
#include "tests/unit/client/fake_agent.h"
#include "tests/unit/client/messages.h"

namespace sluice::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kShop[] = R"(apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop, labels: {app: web, pod-template-hash: abc12}}
spec: {containers: []}
---
apiVersion: v1
kind: Pod
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {containers: [{name: c, ports: [{name: sql, containerPort: 5432}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: closed, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
)";

// An agent that gives one answer.
class FakeWeb final : public web::Web::Service {
 public:
  explicit FakeWeb(web::Suggestions answer) : answer_(std::move(answer)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address(), grpc::InsecureServerCredentials());
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeWeb() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return "unix://" + (directory_ / "web.sock"); }
  v1::ExplainRequest asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  grpc::Status Suggest(grpc::ServerContext*, const v1::ExplainRequest* request, web::Suggestions* reply) override {
    const std::lock_guard lock(mutex_);
    asked_ = *request;
    *reply = answer_;
    return grpc::Status::OK;
  }

 private:
  TemporaryDirectory directory_;
  const web::Suggestions answer_;
  mutable std::mutex mutex_;
  v1::ExplainRequest asked_;
  std::unique_ptr<grpc::Server> server_;
};

class SuggestProgram : public testing::Test {
 protected:
  static CommandResult Run(const Arguments& arguments, const std::string& server = "unix:///nowhere",
                           const std::string& verb = "suggest") {
    const char* directory = std::getenv("SLUICE_BIN_DIR");
    Arguments all{std::string(directory == nullptr ? "build/bin" : directory) + "/sluice", "--server", server, verb};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto result = RunCommand(all);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }

  TemporaryDirectory files_;
};

TEST_F(SuggestProgram, WhatItPrintsAllowsTheFlowAndNoOther) {
  const std::string shop = files_ / "shop.yaml", more = files_ / "more.yaml";
  std::ofstream(shop) << kShop;
  const Arguments flow{"--from", "shop/web", "--to", "shop/db", "--port", "sql", "--resources", shop};
  const CommandResult suggested = Run(flow);
  EXPECT_EQ(suggested.exit_code, 0) << suggested.output;
  EXPECT_THAT(suggested.output, AllOf(HasSubstr("name: allow-tcp-5432-web-to-db"), HasSubstr("\n---\n"),
                                      HasSubstr("name: allow-tcp-5432-db-from-web"), Not(HasSubstr("abc12"))));
  // Without the lines for people, which a shell sends elsewhere.
  const std::size_t begin = suggested.output.find("apiVersion: ");
  ASSERT_NE(begin, std::string::npos);
  std::ofstream(more) << suggested.output.substr(begin);
  const auto explain = [&](const std::string& from, const std::string& to, const std::string& port) {
    return Run({"--from", from, "--to", to, "--port", port, "--resources", shop, "--resources", more},
               "unix:///nowhere", "explain")
        .exit_code;
  };
  EXPECT_EQ(explain("shop/web", "shop/db", "5432"), 0);
  EXPECT_EQ(explain("shop/web", "shop/db", "5433"), 3);
  EXPECT_EQ(explain("shop/db", "shop/web", "5432"), 3);
}

TEST_F(SuggestProgram, SaysWhyThereIsNone) {
  const std::string shop = files_ / "shop.yaml";
  std::ofstream(shop) << kShop;
  const CommandResult icmp = Run({"--from", "shop/web", "--to", "shop/db", "--port", "ICMP", "--resources", shop});
  EXPECT_EQ(icmp.exit_code, 3);
  EXPECT_THAT(icmp.output, HasSubstr("ICMP: only a rule for all protocols and ports allows it"));
  const CommandResult allowed = Run({"--from", "192.0.2.1", "--to", "192.0.2.2", "--port", "80", "--resources", shop});
  EXPECT_EQ(allowed.exit_code, 0);
  EXPECT_THAT(allowed.output, AllOf(HasSubstr("it is allowed already"), Not(HasSubstr("apiVersion"))));
  EXPECT_EQ(Run({"--from", "shop/none", "--to", "shop/db", "--port", "80", "--resources", shop}).exit_code, 1);
  EXPECT_EQ(Run({"--from", "shop/web", "--to", "shop/db"}).exit_code, 2) << "no port";
}

TEST_F(SuggestProgram, AsksTheAgent) {
  const FakeWeb agent(FromJson<web::Suggestions>(
      R"({"policies": [{"yaml": "a: 1\n"}, {"yaml": "b: \"\u001b[31m\"\n"}],
          "notes": ["the labels of a/b also mean c"]})"));
  const CommandResult result =
      Run({"--from", "a/b", "--to", "c/d", "--port", "80", "--process", "/bin/x"}, agent.address());
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, AllOf(HasSubstr("a: 1\n---\nb: \"\\x1b[31m\"\n"), HasSubstr("also mean c")));
  EXPECT_EQ(agent.asked().process(), "/bin/x");
  EXPECT_EQ(agent.asked().port(), 80U);
  EXPECT_THAT(Run({"--from", "a/b", "--to", "c/d", "--port", "80", "-o", "json"}, agent.address()).output,
              HasSubstr("\"policies\":[{\"yaml\":\"a: 1\\n\"}"));
}

}  // namespace
}  // namespace sluice::test
