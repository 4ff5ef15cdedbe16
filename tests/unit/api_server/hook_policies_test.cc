// TracingPolicies by the API: applied, shown, refused with the reason, and removed.
#include "tests/unit/api_server/server_world.h"

namespace sluice::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Code = grpc::StatusCode;

std::string Tracing(const std::string& name, const std::string& spec = "kprobes: [{call: sys_openat}]") {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name + "}\nspec:\n  " + spec + "\n";
}

class HookPoliciesByApi : public ServerFixture {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Start({}).ok());
    stub_ = As({});
  }
  grpc::Status Apply(const std::string& yaml, bool dry_run = false) {
    v1::ApplyRequest request;
    v1::Document& document = *request.add_documents();
    document.set_origin("p.yaml");
    document.set_yaml(yaml);
    request.set_dry_run(dry_run);
    grpc::ClientContext context;
    v1::ApplyReply reply;
    return stub_->Apply(&context, request, &reply);
  }
  std::vector<v1::Resource> Get(const std::string& kind) {
    v1::GetRequest request;
    request.set_kind(kind);
    request.set_with_json(true);
    grpc::ClientContext context;
    const auto reader = stub_->Get(&context, request);
    std::vector<v1::Resource> resources;
    for (v1::Object object; reader->Read(&object);) resources.push_back(object.resource());
    EXPECT_TRUE(reader->Finish().ok());
    return resources;
  }
  v1::AgentStatus ReadStatus() {
    grpc::ClientContext context;
    v1::AgentStatus status;
    EXPECT_TRUE(stub_->Status(&context, {}, &status).ok());
    return status;
  }

  std::unique_ptr<v1::Sluice::Stub> stub_;
};

TEST_F(HookPoliciesByApi, AreAppliedShownAndRemoved) {
  const grpc::Status applied = Apply(Tracing("files"));
  ASSERT_TRUE(applied.ok()) << applied.error_message();
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  const auto listed = Get("tracingpolicies");
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].ref().kind(), "TracingPolicy");
  EXPECT_EQ(listed[0].origin(), v1::API);
  EXPECT_EQ(listed[0].tracing_policy().state(), "enabled");
  EXPECT_EQ(listed[0].tracing_policy().hooks(0).matches(), 3U);
  EXPECT_THAT(listed[0].json(), HasSubstr(R"("state":"enabled")"));
  EXPECT_THAT(Get("tracingpoliciesnamespaced"), IsEmpty());
  const v1::AgentStatus status = ReadStatus();
  ASSERT_EQ(status.hook_policies_size(), 1);
  EXPECT_EQ(status.hook_policies(0).ref().name(), "files");
  EXPECT_EQ(status.hook_policies(0).facts().memory_bytes(), 4096U);

  v1::DeleteRequest request;
  request.add_targets()->set_kind("tracingpolicy");
  request.mutable_targets(0)->set_name("files");
  grpc::ClientContext context;
  v1::DeleteReply reply;
  EXPECT_TRUE(stub_->Delete(&context, request, &reply).ok());
  EXPECT_THAT(kernel_.in_force(), IsEmpty());
  EXPECT_EQ(ReadStatus().hook_policies_size(), 0);
}

TEST_F(HookPoliciesByApi, AreRefusedWithTheReason) {
  ASSERT_TRUE(Apply(Tracing("files")).ok());
  const grpc::Status wrong = Apply(Tracing("files", "kprobes: [{call: sys_nothing}]"));
  EXPECT_EQ(wrong.error_code(), Code::INVALID_ARGUMENT);
  EXPECT_THAT(wrong.error_message(), HasSubstr("p.yaml:5: TracingPolicy files: spec.kprobes[0].call: "));
  const std::string whole =
      "kprobes: [{call: sys_write, args: [{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}]}]";
  EXPECT_EQ(Apply(Tracing("files", whole)).error_code(), Code::INVALID_ARGUMENT) << "nothing enforces it";
  kernel_.not_compiled["more"] = "line 5: spec.kprobes[0]: too many tests";
  EXPECT_THAT(Apply(Tracing("more"), /*dry_run=*/true).error_message(),
              HasSubstr("p.yaml: TracingPolicy more: line 5: spec.kprobes[0]: too many tests"));
  kernel_.FailNext("Put other", MakeError(absl::StatusCode::kNotFound, "this kernel has no function other"));
  const grpc::Status missing = Apply(Tracing("other"));
  EXPECT_EQ(missing.error_code(), Code::NOT_FOUND);
  EXPECT_EQ(missing.error_message(), "p.yaml: TracingPolicy other: this kernel has no function other");
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  ASSERT_EQ(Get("tp").size(), 1U);
  EXPECT_EQ(Get("tp")[0].tracing_policy().state(), "enabled");
}

}  // namespace
}  // namespace sluice::api
