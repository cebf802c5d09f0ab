#!/usr/bin/env bash
# One cluster's life by hand: kwokctl, kubectl, helm, and the waits that a careful engineer writes.
#
#   lifecycle.sh FOLDER      FOLDER holds apps/{manifests,kustomize,chart} and gets everything else
#
# PATH has kwokctl, kubectl and helm; BIN_* name the programs of the control plane. Prints `stage NAME SECONDS` a stage.
set -euo pipefail

FOLDER=$1
NAME=life
export KWOK_WORKDIR=$FOLDER/kwok KUBECONFIG=$FOLDER/kubeconfig
export GOGC=200 # as Boatyard's driver starts the components
trap 'kwokctl delete cluster --name "$NAME" --kubeconfig "$KUBECONFIG" >/dev/null 2>&1 || true' EXIT
trap 'exit 130' INT TERM

stage() { # NAME COMMAND...: run it and say how long it took
  local name=$1 began=$EPOCHREALTIME
  shift
  "$@" >>"$FOLDER/log" 2>&1 || { tail -n 20 "$FOLDER/log" >&2; echo "stage $name failed" >&2; exit 1; }
  awk -v name="$name" -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN { printf "stage %s %.2f\n", name, to - from }'
}

config() { # the control plane exactly as Boatyard's driver makes it
  cat <<YAML
apiVersion: config.kwok.x-k8s.io/v1alpha1
kind: KwokctlConfiguration
options:
  runtime: binary
  runtimes: [binary]
  bindAddress: 127.0.0.1
  kubectlBinary: $(command -v kubectl)
  etcdBinary: $BIN_ETCD
  kubeApiserverBinary: $BIN_KUBE_APISERVER
  kubeControllerManagerBinary: $BIN_KUBE_CONTROLLER_MANAGER
  kubeSchedulerBinary: $BIN_KUBE_SCHEDULER
  kwokControllerBinary: $BIN_KWOK
componentsPatches:
  - name: kube-apiserver
    extraArgs:
      - {key: emulated-version, value: "$1"}
  - name: kube-controller-manager
    extraArgs:
      - {key: emulated-version, value: "$1"}
      - {key: leader-elect, value: "false"}
      - {key: kube-api-qps, value: "200"}
      - {key: kube-api-burst, value: "400"}
  - name: kube-scheduler
    extraArgs:
      - {key: emulated-version, value: "$1"}
      - {key: leader-elect, value: "false"}
      - {key: kube-api-qps, value: "200"}
      - {key: kube-api-burst, value: "400"}
YAML
}

node() { # POOL NAME MINOR: a Node as its kubelet would register it
  local taints="[]"
  [ "$1" = batch ] && taints="[{key: batch, value: 'true', effect: NoSchedule}]"
  cat <<YAML
---
apiVersion: v1
kind: Node
metadata:
  name: $2
  annotations: {kwok.x-k8s.io/node: fake}
  labels: {pool: $1, kubernetes.io/hostname: $2, kubernetes.io/os: linux, kubernetes.io/arch: amd64}
spec: {taints: $taints}
status:
  capacity: {cpu: "4", memory: 16Gi, pods: "110"}
  allocatable: {cpu: "4", memory: 16Gi, pods: "110"}
  nodeInfo:
    {kubeletVersion: v$3.0, kubeProxyVersion: v$3.0, operatingSystem: linux, architecture: amd64, osImage: KWOK,
     containerRuntimeVersion: kwok, kernelVersion: kwok, machineID: $2, bootID: $2, systemUUID: $2}
YAML
}

add_nodes() { # POOL MINOR NAME...
  local pool=$1 minor=$2
  shift 2
  for name; do node "$pool" "$name" "$minor"; done | kubectl create -f -
  kubectl wait --for=condition=Ready --timeout=120s "${@/#/node/}"
}

remove_node() { # NAME: its pods leave by eviction first
  kubectl drain "$1" --ignore-daemonsets --delete-emptydir-data --timeout=300s
  kubectl delete node "$1"
}

answers() { # MINOR: the control plane serves it, and its controllers work
  kubectl get --raw '/readyz?verbose'
  kubectl version -o json | grep -q "\"emulationMinor\": \"${1#1.}\""
  timeout 60 bash -c 'until kubectl get serviceaccount default; do sleep 0.5; done'
}

create() { # MINOR
  config "$1" >"$FOLDER/config.yaml"
  kwokctl create cluster --name "$NAME" --config "$FOLDER/config.yaml" --kubeconfig "$KUBECONFIG" \
    --node-lease-duration-seconds=0 --wait 120s
  answers "$1"
  add_nodes web "$1" web-{001..005}
  add_nodes batch "$1" batch-{001..002}
}

validate() { # MINOR: the API server, nodes, and that a pod can come and go
  answers "$1"
  kubectl wait --for=condition=Ready --timeout=120s nodes --all
  kubectl run canary --image=registry.example.com/canary:1.0 --restart=Never
  kubectl wait --for=condition=Ready --timeout=60s pod/canary
  kubectl delete pod canary --wait --timeout=60s
}

apps() {
  local folder name
  for folder in "$FOLDER"/apps/manifests/*; do kubectl apply --server-side -f "$folder"; done
  for folder in "$FOLDER"/apps/kustomize/*; do kubectl apply --server-side -k "$folder"; done
  for name in chart-0{0..5}; do
    helm upgrade --install "$name" "$FOLDER/apps/chart" --namespace "$name" --create-namespace --wait --timeout 5m
  done
  for name in manifests-0{0..7}; do rollout "$name" "$name"; done
  for name in kustomize-0{0..5}; do rollout "$name" app; done
}

rollout() { kubectl --namespace "$1" rollout status "deployment/$2" --timeout=300s; }

halt() { # kwokctl does not wait for the programs to be gone, and a start finds their ports taken
  local file pid pids=()
  for file in "$KWOK_WORKDIR/clusters/$NAME"/pids/*.pid; do pids+=("$(<"$file")"); done
  kwokctl stop cluster --name "$NAME"
  for pid in "${pids[@]}"; do timeout 60 tail --pid="$pid" -s 0.1 -f /dev/null; done
}

upgrade() { # MINOR GENERATION: control plane, then node by node
  halt
  sed -i -E "s/(--emulated-version=)[0-9.]+/\1$1/" "$KWOK_WORKDIR/clusters/$NAME/kwok.yaml"
  kwokctl start cluster --name "$NAME" --wait 120s
  answers "$1"
  local pool number=0 old
  for pool in web batch; do
    for old in $(kubectl get nodes -l "pool=$pool" -o name); do
      number=$((number + 1))
      add_nodes "$pool" "$1" "$pool-$2$(printf %02d $number)"
      remove_node "${old#node/}"
    done
  done
  validate "$1"
}

shrink() { # five of the ten web nodes: cordoned together, so that no pod moves twice
  local leaving
  leaving=$(kubectl get nodes -l pool=web -o name | tail -n 5)
  kubectl cordon $leaving
  for node in $leaving; do remove_node "${node#node/}"; done
}

hibernate() { halt; }

wake() { # MINOR
  kwokctl start cluster --name "$NAME" --wait 120s
  validate "$1"
}

delete() {
  kwokctl delete cluster --name "$NAME" --kubeconfig "$KUBECONFIG"
  test ! -e "$KWOK_WORKDIR/clusters/$NAME"
}

stage create create 1.34
stage validate validate 1.34
stage apps apps
stage "upgrade-1.35" upgrade 1.35 1
stage "upgrade-1.36" upgrade 1.36 2
stage "scale-10" add_nodes web 1.36 web-3{01..05}
stage "scale-5" shrink
stage hibernate hibernate
stage wake wake 1.36
stage delete delete
