// Which test proves each feature of KubeArmor's format: for docs/kubearmor-policy.md, and for tests that all of them
// are there.
#pragma once

#include <array>
#include <string_view>

namespace sluice::test {

struct FeatureLine {
  std::string_view feature;
  std::string_view kernels;
  std::string_view test;  // of lsm_policies: a part of its full name, with "*" for any text
};

inline constexpr std::string_view kLsmKernels = "with BPF LSM: 6.1, 6.12";

inline constexpr std::array kFeatureLines = {
    FeatureLine{"`process.matchPaths`: path", kLsmKernels, "LsmFeature.*/process_path"},
    FeatureLine{"`process.matchPaths`: execname", kLsmKernels, "LsmFeature.*/process_execname"},
    FeatureLine{"`process.matchPaths`: allowedArgs", kLsmKernels, "LsmFeature.*/process_allowedArgs"},
    FeatureLine{"allowedArgs of scripts' interpreters, and arguments that change", kLsmKernels, "LsmHold.Arguments*"},
    FeatureLine{"`process.matchDirectories`", kLsmKernels, "LsmFeature.*/process_directory"},
    FeatureLine{"`process.matchDirectories`: recursive", kLsmKernels, "LsmFeature.*/process_recursive"},
    FeatureLine{"`process.matchPatterns`", kLsmKernels, "LsmFeature.*/process_pattern"},
    FeatureLine{"`process`: fromSource", kLsmKernels, "LsmFeature.*/process_fromSource*"},
    FeatureLine{"`process`: ownerOnly", kLsmKernels, "LsmFeature.*/process_ownerOnly"},
    FeatureLine{"`process`: pts", kLsmKernels, "LsmFeature.*/process_pts"},
    FeatureLine{"`file.matchPaths`", kLsmKernels, "LsmFeature.*/file_path"},
    FeatureLine{"`file.matchDirectories`", kLsmKernels, "LsmFeature.*/file_directory"},
    FeatureLine{"`file.matchDirectories`: recursive", kLsmKernels, "LsmFeature.*/file_recursive"},
    FeatureLine{"`file.matchPatterns`", kLsmKernels, "LsmFeature.*/file_pattern"},
    FeatureLine{"`file`: readOnly", kLsmKernels, "LsmFeature.*/file_readOnly"},
    FeatureLine{"`file`: ownerOnly", kLsmKernels, "LsmFeature.*/file_ownerOnly"},
    FeatureLine{"`file`: fromSource", kLsmKernels, "LsmFeature.*/file_fromSource"},
    FeatureLine{"`file`: pts", kLsmKernels, "LsmFeature.*/file_pts"},
    FeatureLine{"calls that change a file or its name without opening it", kLsmKernels, "LsmFileCall.*"},
    FeatureLine{"symbolic links, and other ways to write a path", kLsmKernels, "LsmFiles.NoWayAroundLeadsPastARule"},
    FeatureLine{"`/bin` and `/usr/bin`", kLsmKernels, "LsmFiles.ARuleForBinIsForUsrBinToo"},
    FeatureLine{"paths that cannot be read whole", kLsmKernels, "LsmFiles.APathThatCannotBeReadWhole*"},
    FeatureLine{"`network.matchProtocols`", kLsmKernels, "LsmFeature.*/network_*"},
    FeatureLine{"`network.matchProtocols`: all names", "all", "LsmProtocols.*"},
    FeatureLine{"`network.matchProtocols`: fromSource", kLsmKernels, "LsmFeature.*/network_fromSource"},
    FeatureLine{"`capabilities.matchCapabilities`", kLsmKernels, "LsmFeature.*/capability"},
    FeatureLine{"`capabilities.matchCapabilities`: fromSource", kLsmKernels, "LsmFeature.*/capability_fromSource"},
    FeatureLine{"`syscalls.matchSyscalls`", kLsmKernels, "LsmSystemCalls.AreAudited"},
    FeatureLine{"`syscalls.matchSyscalls`: fromSource", kLsmKernels, "LsmSystemCalls.OfAProgram"},
    FeatureLine{"`syscalls.matchPaths`", kLsmKernels, "LsmSystemCalls.ForAPath"},
    FeatureLine{"preset `protectEnv`", kLsmKernels, "LsmPreset.ProtectEnv"},
    FeatureLine{"preset `protectProc`", kLsmKernels, "LsmPreset.ProtectProc"},
    FeatureLine{"preset `filelessExec`", kLsmKernels, "LsmPreset.FilelessExec"},
    FeatureLine{"preset `exec`", kLsmKernels, "LsmPreset.Exec"},
    FeatureLine{"preset `anonMapExec`", kLsmKernels, "LsmPreset.AnonMapExec"},
    FeatureLine{"Allow lists and their posture", kLsmKernels, "LsmFeature.Allows/*"},
    FeatureLine{"which rule decides, of all that are about an operation", "all", "LsmJudge.SaysWhatTheReferenceSays"},
    FeatureLine{"the same with real files", kLsmKernels, "LsmReference.*"},
    FeatureLine{"policies for hosts", kLsmKernels, "LsmHold.APolicyForTheHost*"},
    FeatureLine{"a new workload is covered at once, and no other one", kLsmKernels, "LsmHold.ANewWorkload*"},
    FeatureLine{"a container's start", kLsmKernels, "LsmEntering.ARuntimes*"},
    FeatureLine{"workloads in the node's mount namespace", kLsmKernels, "LsmEntering.AWorkload*"},
    FeatureLine{"what the sensors of an agent that has ended knew", kLsmKernels, "LsmEntering.WhatTheSensors*"},
    FeatureLine{"enforcement with a full ring of records", kLsmKernels, "LsmHold.AFullRing*"},
    FeatureLine{"enforcement without an agent, and the next one's take-over", kLsmKernels, "LsmAgents.ADeadAgent*"},
    FeatureLine{"a change of policies without a gap", kLsmKernels, "LsmHold.AChangeIsOneStep"},
    FeatureLine{"refusal where the kernel has no BPF LSM", "without", "LsmKernel.WithoutLsmHooks*"},
};

// What others than lsm_policies prove: what an agent does.
struct AgentLine {
  std::string_view feature;
  std::string_view kernels;
  std::string_view program;
  std::string_view directory;  // of its tests, below tests/
  std::string_view test;       // the begin of its full name
};

inline constexpr std::array kAgentLines = {
    AgentLine{"`selector`, `nodeSelector`: what they select", "all", "unit_lsm", "unit/policy_lsm", "LsmSelection."},
    AgentLine{"`kubearmor.io/container.name`", kLsmKernels, "e2e_kube", "e2e_kube",
              "KubernetesKubeArmorKernel.AContainersName"},
    AgentLine{"labels of nodes, of the API server", kLsmKernels, "e2e_kube", "e2e_kube",
              "KubernetesKubeArmorKernel.APolicyForHosts"},
    AgentLine{"labels of nodes, by `--node-label`", kLsmKernels, "e2e", "e2e", "KubeArmorKernel.APolicyForHosts"},
    AgentLine{"a policy that asks for what is not known yet", "all", "unit_ctrl", "unit/ctrl",
              "LsmControllerTest.APolicyIsInForceAsSoonAs"},
    AgentLine{"objects of the API server", "all", "e2e_kube", "e2e_kube", "KubernetesKubeArmor.RulesAboutPeers"},
    AgentLine{"the default posture of the API server's Namespace", "all", "e2e_kube", "e2e_kube",
              "KubernetesKubeArmor.TheDefaultPosture"},
    AgentLine{"Events where a person has to act", "all", "e2e_kube", "e2e_kube", "KubernetesKubeArmor.WhereAPerson"},
    AgentLine{"`network.matchPeers`: fromSource", "all", "e2e", "e2e", "KubeArmor.PeersAreRefusedToTheProgram"},
    AgentLine{"`network.matchPeers`: Allow lists and their posture", "all", "e2e", "e2e",
              "KubeArmor.AnAllowListOfPeers"},
    AgentLine{"`network.matchPeers`: which rule decides", "all", "unit_lsm", "unit/policy_lsm",
              "PeerPolicies.TheMorePreciseRule"},
    AgentLine{"`network.matchPeers` without the agent, and after its restart", "all", "e2e", "e2e",
              "KubeArmor.PeersStayRefused"},
    AgentLine{"alerts in KubeArmor's form", "all", "unit_kubearmor", "unit/kubearmor", "KubeArmorEvent."},
    AgentLine{"its log service", "all", "unit_kubearmor", "unit/kubearmor", "LogServiceTest."},
    AgentLine{"`explain --exec`, `--open`", "all", "e2e", "e2e", "KubeArmor.ExplainSaysWho"},
    AgentLine{"lenient mode", "all", "e2e", "e2e", "KubeArmor.LenientDocuments"},
};

}  // namespace sluice::test
