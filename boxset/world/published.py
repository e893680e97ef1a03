"""The public data sets' files, in their real formats and at their true addresses, about the drawn scenes."""

import csv
import hashlib
import io
import json
import random
import tarfile
import zipfile
from typing import Any

from PIL import Image

from boxset.world.drawn import Builder, encoded, resized
from boxset.world.plan import FLICKR, IMAGENET, SEED
from boxset.world.scenes import Scene, Thing

OI_CLASSES = {
    "driller": "/m/01d380", "hammer": "/m/03l9g", "screwdriver": "/m/01bms0", "wrench": "/m/01j5ks", "chisel": "/m/01kb5b", "axe": "/m/0_cp5",
}  # fmt: skip
OI_NAMES = {
    "/m/01d380": "Drill (Tool)", "/m/03l9g": "Hammer", "/m/01bms0": "Screwdriver", "/m/01j5ks": "Wrench", "/m/01kb5b": "Chisel", "/m/0_cp5": "Axe",
    "/m/07k1x": "Tool", "/m/02rdsp": "Office supplies", "/m/0dzct": "Human face", "/m/04yx4": "Man", "/m/01b7fy": "Ratchet (Device)", "/m/04bcr3": "Table",
}  # fmt: skip
WNIDS = {
    "driller": ("n03995372", "power drill"), "hammer": ("n03481172", "hammer"), "paintbrush": ("n03876231", "paintbrush"),
    "screwdriver": ("n04154565", "screwdriver"), "wheelbarrow": ("n02797295", "barrow, garden cart, lawn cart, wheelbarrow"),
    "axe": ("n03498962", "hatchet"), "shovel": ("n04208210", "shovel"),
}  # fmt: skip
LVIS = {
    "driller": (396, "drill", "drill.n.01", ["drill"]), "hammer": (530, "hammer", "hammer.n.02", ["hammer"]),
    "paintbrush": (747, "paintbrush", "paintbrush.n.01", ["paintbrush"]), "screwdriver": (926, "screwdriver", "screwdriver.n.01", ["screwdriver"]),
    "wheelbarrow": (55, "barrow", "barrow.n.03", ["barrow", "garden_cart", "lawn_cart", "wheelbarrow"]),
    "wrench": (1190, "wrench", "wrench.n.03", ["wrench", "spanner"]), "pliers": (810, "pliers", "pliers.n.01", ["pliers", "plyers"]),
    "shovel": (966, "shovel", "shovel.n.01", ["shovel"]), "axe": (22, "ax", "ax.n.01", ["ax", "axe"]),
}  # fmt: skip
VG_SYNSETS = {
    "driller": ("drill", "exercise.n.03"), "hammer": ("hammer", "hammer.n.01"), "paintbrush": ("paintbrush", "paintbrush.n.01"),
    "screwdriver": ("screwdriver", "screwdriver.n.01"), "wheelbarrow": ("wheelbarrow", "barrow.n.03"), "wrench": ("wrench", "wrench.n.03"),
    "pliers": ("pliers", "pliers.n.01"), "saw": ("saw", "saw.n.02"), "shovel": ("shovel", "shovel.n.01"), "axe": ("axe", "ax.n.01"),
    "chisel": ("chisel", "chisel.n.01"), "tape_measure": ("tape measure", "tape.n.04"),
}  # fmt: skip
COCO_LICENSES = [
    (1, "by-nc-sa", "Attribution-NonCommercial-ShareAlike License"), (2, "by-nc", "Attribution-NonCommercial License"),
    (3, "by-nc-nd", "Attribution-NonCommercial-NoDerivs License"), (4, "by", "Attribution License"),
    (5, "by-sa", "Attribution-ShareAlike License"), (6, "by-nd", "Attribution-NoDerivs License"),
]  # fmt: skip
COCO_NAMES = [
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic_light",
    "fire_hydrant",
    "-",
    "stop_sign",
    "parking_meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "-",
    "backpack",
    "umbrella",
    "-",
    "-",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports_ball",
    "kite",
    "baseball_bat",
    "baseball_glove",
    "skateboard",
    "surfboard",
    "tennis_racket",
    "bottle",
    "-",
    "wine_glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot_dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted_plant",
    "bed",
    "-",
    "dining_table",
    "-",
    "-",
    "toilet",
    "-",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell_phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "-",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy_bear",
    "hair_drier",
    "toothbrush",
]
OI = "https://storage.googleapis.com/openimages/"
OI_FLAGS = ["IsOccluded", "IsTruncated", "IsGroupOf", "IsDepiction", "IsInside"]
SETS = (("oi",), ("coco", "lvis"), ("vg",), ("oi", "vg"), ("oi",), ("coco", "lvis", "vg"), ("oi", "coco", "lvis"), ("oi",), ("vg",), ("coco", "lvis"))


def publish(world: Builder, scenes: list[Scene], pictures: dict[int, bytes]) -> None:
    """Write every source's files and pictures."""
    photos = [scene for scene in scenes if scene.role == FLICKR]
    sets = {scene.number: SETS[place % len(SETS)] for place, scene in enumerate(photos)}
    _open_images(world, [s for s in photos if "oi" in sets[s.number]], pictures)
    _coco_and_lvis(world, [s for s in photos if "coco" in sets[s.number]], pictures)
    _visual_genome(world, [s for s in photos if "vg" in sets[s.number]], pictures, {s.number for s in photos if "coco" in sets[s.number]})
    _imagenet(world, [s for s in scenes if s.role == IMAGENET and s.main in WNIDS], pictures)


def _rng(what: str, scene: Scene) -> random.Random:
    return random.Random(f"{SEED}/{what}/{scene.number}")


def oi_id(scene: Scene) -> str:
    """Return the scene's Open Images id."""
    return hashlib.sha256(f"{SEED}/oi/{scene.number}".encode()).hexdigest()[:16]


def coco_id(scene: Scene) -> int:
    """Return the scene's COCO id."""
    return 1000 + scene.number * 1187 % 581_000


def _oi_split(place: int) -> str:
    return ("train", "train", "train", "train", "validation", "train", "train", "test")[place % 8]


def _csv(header: list[str], rows: list[list[Any]], *, end: str = "\n") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator=end)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue().encode()


def _open_images(world: Builder, scenes: list[Scene], pictures: dict[int, bytes]) -> None:
    boxes: dict[str, list[list[Any]]] = {"train": [], "validation": [], "test": []}
    images: dict[str, list[list[Any]]] = {split: [] for split in boxes}
    labels: dict[str, list[list[Any]]] = {split: [] for split in boxes}
    for place, scene in enumerate(scenes):
        split, rng = _oi_split(place), _rng("oi", scene)
        boxes[split] += _oi_boxes(scene, rng, clicks=split == "train")
        labels[split] += _oi_labels(scene, rng)
        images[split].append(_oi_image(scene, split, rng))
        if place % 29 != 17:  # some pictures are listed and not there
            world.put(f"open-images-dataset.s3.amazonaws.com/{split}/{oi_id(scene)}.jpg", pictures[scene.number])
    header = ["ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax", *OI_FLAGS]
    clicks = [f"XClick{n}{axis}" for axis in "XY" for n in (1, 2, 3, 4)]
    world.put(f"{OI}v6/oidv6-train-annotations-bbox.csv", _csv([*header, *clicks], sorted(boxes["train"])), type="text/csv")
    listing = [
        "ImageID",
        "Subset",
        "OriginalURL",
        "OriginalLandingURL",
        "License",
        "AuthorProfileURL",
        "Author",
        "Title",
        "OriginalSize",
        "OriginalMD5",
    ]
    listing += ["Thumbnail300KURL", "Rotation"]
    for split in boxes:
        name = "train-images-boxable-with-rotation" if split == "train" else f"{split}-images-with-rotation"
        world.put(f"{OI}2018_04/{split}/{name}.csv", _csv(listing, images[split]), type="text/csv")
        verified = _csv(["ImageID", "Source", "LabelName", "Confidence"], sorted(labels[split]))
        world.put(f"{OI}v5/{split}-annotations-human-imagelabels-boxable.csv", verified, type="text/csv")
        if split != "train":
            world.put(f"{OI}v5/{split}-annotations-bbox.csv", _csv(header, sorted(boxes[split])), type="text/csv")
    world.put(
        f"{OI}v7/oidv7-class-descriptions-boxable.csv",
        _csv(["LabelName", "DisplayName"], [list(i) for i in OI_NAMES.items()], end="\r\n"),
        type="text/csv",
    )
    world.put(f"{OI}2018_04/bbox_labels_600_hierarchy.json", json.dumps(_oi_hierarchy()).encode(), type="application/json")


def _oi_hierarchy() -> dict[str, Any]:
    """A class with several parents stands under each of them, as in reality."""
    tools: list[dict[str, Any]] = [{"LabelName": mid} for mid in OI_CLASSES.values()]
    tools[3] = {"LabelName": OI_CLASSES["wrench"], "Subcategory": [{"LabelName": "/m/01b7fy"}]}
    office = {"LabelName": "/m/02rdsp", "Subcategory": [{"LabelName": OI_CLASSES["chisel"]}]}
    man = {"LabelName": "/m/04yx4", "Part": [{"LabelName": "/m/0dzct"}]}
    return {"LabelName": "/m/0bl9f", "Subcategory": [{"LabelName": "/m/07k1x", "Subcategory": tools}, office, man, {"LabelName": "/m/04bcr3"}]}


def _oi_boxes(scene: Scene, rng: random.Random, *, clicks: bool) -> list[list[Any]]:
    things = [thing for thing in scene.things if thing.category in OI_CLASSES]
    racked = [thing for thing in things if thing.racked]
    rows = [_oi_row(scene, [thing], rng, clicks=clicks) for thing in things if not (len(racked) > 5 and thing.racked)]
    return rows + ([_oi_row(scene, racked, rng, clicks=clicks)] if len(racked) > 5 else [])


def _oi_row(scene: Scene, things: list[Thing], rng: random.Random, *, clicks: bool) -> list[Any]:
    left, top = min(t.box[0] for t in things) / scene.width, min(t.box[1] for t in things) / scene.height
    right = max(t.box[0] + t.box[2] for t in things) / scene.width
    bottom = max(t.box[1] + t.box[3] for t in things) / scene.height
    semi = clicks and rng.random() < 0.1
    unknown = rng.random() < 0.03
    flags = [-1] * 5 if unknown else [int(things[0].occluded), int(things[0].truncated), int(len(things) > 1), int(things[0].depiction), 0]
    corners = [f"{value:.6f}" for value in (left, right, top, bottom)]
    if rng.random() < 0.02:
        corners[0] = f"{left:.6e}"
    row = [oi_id(scene), "activemil" if semi else "xclick", OI_CLASSES[things[0].category], 1, *corners, *flags]
    middle_x, middle_y = f"{(left + right) / 2:.6f}", f"{(top + bottom) / 2:.6f}"
    points = [middle_x, corners[0], middle_x, corners[1], corners[2], middle_y, corners[3], middle_y]
    return row + ((["-1"] * 8 if semi else points) if clicks else [])


def _oi_labels(scene: Scene, rng: random.Random) -> list[list[Any]]:
    present = {thing.category for thing in scene.things}
    rows = [[oi_id(scene), "verification", OI_CLASSES[c], 1] for c in sorted(present) if c in OI_CLASSES]
    absent = [c for c in OI_CLASSES if c not in present and rng.random() < 0.3]
    return rows + [[oi_id(scene), "crowdsource-verification", OI_CLASSES[c], 0] for c in absent]


def _oi_image(scene: Scene, split: str, rng: random.Random) -> list[Any]:
    photo = scene.photo
    original = f"https://farm{photo.farm}.staticflickr.com/{photo.server}/{photo.flickr_id}_{photo.secret}"
    thumbnail = f"{original}_z.jpg" if rng.random() > 0.025 else ""
    licence = "https://creativecommons.org/licenses/by/2.0/"
    profile = f"https://www.flickr.com/people/{photo.alias}/"
    page = f"https://www.flickr.com/photos/{photo.alias}/{photo.flickr_id}"
    return [
        oi_id(scene),
        split,
        f"{original}_o.jpg",
        page,
        licence,
        profile,
        photo.author,
        photo.title,
        100_000 + scene.number,
        "x==",
        thumbnail,
        "0.0" if rng.random() > 0.1 else "",
    ]


def _zip(members: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in members.items():
            info = zipfile.ZipInfo(name, (2017, 9, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, json.dumps(value))
    return out.getvalue()


def _coco_and_lvis(world: Builder, scenes: list[Scene], pictures: dict[int, bytes]) -> None:
    categories = [{"supercategory": "thing", "id": n, "name": name.replace("_", " ")} for n, name in enumerate(COCO_NAMES, 1) if name != "-"]
    licenses = [{"url": f"http://creativecommons.org/licenses/{code}/2.0/", "id": n, "name": name} for n, code, name in COCO_LICENSES]
    coco: dict[str, dict[str, Any]] = {
        split: {"info": {"description": "COCO 2017 Dataset"}, "licenses": licenses, "images": [], "annotations": [], "categories": categories}
        for split in ("train", "val")
    }
    kinds = [_lvis_category(*row) for row in sorted(LVIS.values())]
    lvis: dict[str, dict[str, Any]] = {
        split: {"info": {"version": "v1"}, "licenses": licenses, "images": [], "annotations": [], "categories": kinds} for split in ("train", "val")
    }
    for place, scene in enumerate(scenes):
        split = "val" if place % 6 == 5 else "train"
        content, width, height = resized(pictures[scene.number], 640)
        world.put(f"images.cocodataset.org/{split}2017/{coco_id(scene):012d}.jpg", content)
        image = _coco_image(scene, split, width, height)
        coco[split]["images"].append(image)
        coco[split]["annotations"] += _coco_annotations(scene, width, height, _rng("coco", scene))
        lvis[split]["images"].append(_lvis_image(scene, image))
        lvis[split]["annotations"] += _lvis_annotations(scene, width, _rng("lvis", scene))
    world.put(
        "images.cocodataset.org/annotations/annotations_trainval2017.zip",
        _zip({f"annotations/instances_{s}2017.json": v for s, v in coco.items()}),
        type="application/zip",
    )
    for split, value in lvis.items():
        world.put(f"dl.fbaipublicfiles.com/LVIS/lvis_v1_{split}.json.zip", _zip({f"lvis_v1_{split}.json": value}), type="application/zip")


def _coco_image(scene: Scene, split: str, width: int, height: int) -> dict[str, Any]:
    photo = scene.photo
    return {
        "license": min(photo.licence, 6),
        "file_name": f"{coco_id(scene):012d}.jpg",
        "coco_url": f"http://images.cocodataset.org/{split}2017/{coco_id(scene):012d}.jpg",
        "height": height,
        "width": width,
        "date_captured": photo.taken,
        "flickr_url": f"http://farm{photo.farm}.staticflickr.com/{photo.server}/{photo.flickr_id}_{photo.secret}_z.jpg",
        "id": coco_id(scene),
    }


def _coco_annotations(scene: Scene, width: int, height: int, rng: random.Random) -> list[dict[str, Any]]:
    """None of our tools is a category of COCO: the surface is a dining table, now and then with a crowd of books; some images have nothing."""
    if rng.random() < 0.15:
        return []
    top = round(height * rng.uniform(0.4, 0.7), 2)
    box = [0.0, top, float(width), round(height - top, 2)]
    polygon = [[0.0, top, float(width), top, float(width), float(height), 0.0, float(height)]]
    number = scene.number * 10
    found = [
        {"segmentation": polygon, "area": box[2] * box[3], "iscrowd": 0, "image_id": coco_id(scene), "bbox": box, "category_id": 67, "id": number + 1}
    ]
    if rng.random() < 0.2:
        rle = {"counts": [height * 10, 40, width * height - height * 10 - 40], "size": [height, width]}
        found.append(
            {"segmentation": rle, "area": 40, "iscrowd": 1, "image_id": coco_id(scene), "bbox": [10, 0, 1, 40], "category_id": 84, "id": number + 2}
        )
    return found


def _lvis_category(number: int, name: str, synset: str, synonyms: list[str]) -> dict[str, Any]:
    return {
        "id": number,
        "name": name,
        "synset": synset,
        "synonyms": synonyms,
        "def": f"a {name}",
        "frequency": "c",
        "image_count": 20,
        "instance_count": 40,
    }


def _lvis_image(scene: Scene, image: dict[str, Any]) -> dict[str, Any]:
    rng = _rng("lvis-image", scene)
    present = {thing.category for thing in scene.things}
    known = sorted(LVIS[c][0] for c in present if c in LVIS)
    absent = sorted(row[0] for c, row in LVIS.items() if c not in present and rng.random() < 0.35)
    incomplete = [number for number in known if rng.random() < 0.15]
    return {**{k: v for k, v in image.items() if k != "file_name"}, "neg_category_ids": absent, "not_exhaustive_category_ids": incomplete}


def _lvis_annotations(scene: Scene, width: int, rng: random.Random) -> list[dict[str, Any]]:
    scale = width / scene.width
    found = []
    for place, thing in enumerate(scene.things):
        if thing.category not in LVIS or rng.random() < 0.05:
            continue
        x, y, w, h = (round(value * scale, 2) for value in thing.box)
        polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        number = scene.number * 100 + place + 1
        found.append(
            {
                "bbox": [x, y, w, h],
                "category_id": LVIS[thing.category][0],
                "image_id": coco_id(scene),
                "id": number,
                "segmentation": polygon,
                "area": w * h,
            }
        )
    return found


def _visual_genome(world: Builder, scenes: list[Scene], pictures: dict[int, bytes], in_coco: set[int]) -> None:
    objects, images = [], []
    for place, scene in enumerate(scenes):
        number = 2_300_000 + scene.number
        content, width, height = resized(pictures[scene.number], 800, quality=88)
        folder = "VG_100K" if place % 2 else "VG_100K_2"
        url = f"https://cs.stanford.edu/people/rak248/{folder}/{number}.jpg"
        world.put(url, content)
        images.append(
            {
                "image_id": number,
                "url": url,
                "width": width,
                "height": height,
                "coco_id": coco_id(scene) if scene.number in in_coco else None,
                "flickr_id": int(scene.photo.flickr_id) if place % 5 else None,
            }
        )
        objects.append({"image_id": number, "objects": _vg_objects(scene, width, _rng("vg", scene)), "image_url": url})
    base = "https://homes.cs.washington.edu/~ranjay/visualgenome/data/dataset"
    world.put(f"{base}/objects.json.zip", _zip({"objects.json": objects}), type="application/zip")
    world.put(f"{base}/image_data.json.zip", _zip({"image_data.json": images}), type="application/zip")
    world.put(f"{base}/object_alias.txt", b"spanner,wrench\nwheel barrow,wheelbarrow\npaint brush , paintbrush,paintbrushes\n", type="text/plain")
    synsets = dict(VG_SYNSETS.values())
    world.put(f"{base}/object_synsets.json.zip", _zip({"object_synsets.json": synsets}), type="application/zip")


def _vg_objects(scene: Scene, width: int, rng: random.Random) -> list[dict[str, Any]]:
    """Names and synsets as people wrote them: some synsets empty, some double, some boxes past the edge, not everything named."""
    scale = width / scene.width
    found = []
    for place, thing in enumerate(scene.things):
        if rng.random() < 0.15:
            continue
        name, synset = VG_SYNSETS[thing.category]
        synsets = [] if rng.random() < 0.12 else [synset, "tool.n.01"] if rng.random() < 0.05 else [synset]
        x, y, w, h = (round(value * scale) for value in thing.box)
        extra = 3 if thing.truncated else 0
        spoken = f"{name} on table." if rng.random() < 0.04 else name
        number = scene.number * 100 + place
        found.append(
            {"synsets": synsets, "h": h + extra, "object_id": number, "merged_object_ids": [], "names": [spoken], "w": w + extra, "y": y, "x": x}
        )
    found.append(
        {
            "synsets": ["table.n.02"],
            "h": 20,
            "object_id": scene.number * 100 + 99,
            "merged_object_ids": [7],
            "names": ["table"],
            "w": 30,
            "y": 1,
            "x": 2,
        }
    )
    return found


def _imagenet(world: Builder, scenes: list[Scene], pictures: dict[int, bytes]) -> None:
    rows: dict[str, list[list[str]]] = {"train": [], "val": []}
    members: list[tuple[str, bytes]] = []
    for place, scene in enumerate(scenes):
        wnid = WNIDS[scene.main][0]
        split = "val" if place % 5 == 4 else "train"
        name = f"ILSVRC2012_val_{scene.number + 1:08d}" if split == "val" else f"{wnid}_{scene.number + 10}"
        content, width, _ = resized(pictures[scene.number], 500)
        folder = "val" if split == "val" else f"train/{wnid}"
        members.append((f"ILSVRC/Data/CLS-LOC/{folder}/{name}.JPEG", _imagenet_bytes(content, place)))
        scale = width / scene.width
        boxes = [thing.box for thing in scene.things if thing.category == scene.main]
        corners = [f"{wnid} {round(x * scale)} {round(y * scale)} {round((x + w) * scale)} {round((y + h) * scale)}" for x, y, w, h in boxes]
        rows[split].append([name, " ".join(corners) + " "])
    for split, listing in rows.items():
        world.put(f"imagenet.example/LOC_{split}_solution.csv", _csv(["ImageId", "PredictionString"], listing), type="text/csv")
    mapping = "".join(f"{wnid} {names}\n" for wnid, names in sorted(WNIDS.values()))
    world.put("imagenet.example/LOC_synset_mapping.txt", mapping.encode(), type="text/plain")
    world.put("imagenet.example/imagenet_object_localization_patched2019.tar.gz", _tar_gz(sorted(members)), type="application/gzip")


def _imagenet_bytes(jpeg: bytes, place: int) -> bytes:
    """Some files are CMYK, one is a PNG by another name, as in reality."""
    if place % 17 not in (3, 8):
        return jpeg
    with Image.open(io.BytesIO(jpeg)) as picture:
        return encoded(picture.convert("CMYK"), "JPEG", quality=90) if place % 17 == 3 else encoded(picture.convert("RGB"), "PNG")


def _tar_gz(members: list[tuple[str, bytes]]) -> bytes:
    import gzip

    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)
